/**
 * The one thing that a front end knows: keys that somebody keeps, and their use. It says nothing of daemons,
 * members or files, so that a front end reads the same whatever is behind it.
 */
import type { Asked } from '../keys/kind/operation.ts';
import type { KeyUse } from '../protocol/records/value.ts';

/** A key, and all of it that anybody may know. */
export interface SignerKey {
  readonly name: string;
  /** 32 bytes that bind name, kind, use and every public value. */
  readonly id: Uint8Array;
  readonly kind: string;
  readonly use: KeyUse;
  /** The size of the key, as people name it. */
  readonly bits: number;
  /** All public values, in the encoding of the kind. */
  readonly public: Uint8Array;
  /** The public key for other programs: SubjectPublicKeyInfo in PEM. */
  readonly pem: string;
}

export interface SignAsked {
  /**
   * As `keys` gave it: a signature is checked with its public key, and not with what somebody says meanwhile.
   */
  key: SignerKey;
  /** In the shape of the key's kind: of RSA `rsaSignature` makes it. */
  asked: Asked;
}

export interface Signed {
  /** Valid: it was verified with the key's public key. */
  signature: Uint8Array;
  epoch: number;
  /** The members whose partials made it. */
  signers: string[];
}

export interface DecryptAsked {
  key: SignerKey;
  /** In the shape of the key's kind: of RSA `{ ciphertext }`, RSAES-OAEP, as long as the modulus. */
  asked: Asked;
  /** What members are not told: of RSA hash and label. */
  padding: Asked;
}

export interface Decrypted {
  /** Only the caller knows it: no daemon and no member has seen it. */
  plaintext: Uint8Array;
  epoch: number;
  /** The members whose partials made it. */
  holders: string[];
}

/** Every method rejects with `ClientError`. */
export interface Signer {
  keys(): Promise<SignerKey[]>;
  sign(asked: SignAsked): Promise<Signed>;
  decrypt(asked: DecryptAsked): Promise<Decrypted>;
}
