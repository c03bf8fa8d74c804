/**
 * The one thing that a front end knows: keys that somebody keeps, and their use. It says nothing of daemons, members or
 * files, so that a front end reads the same whatever is behind it.
 */
import type { HashName } from '../keys/rsa/encoding.ts';
import type { RsaPublicKey, SignatureScheme } from '../keys/rsa/public-forms.ts';
import type { KeyUse } from '../protocol/records/value.ts';

/** A key, and all of it that anybody may know. */
export interface SignerKey {
  readonly name: string;
  /** 32 bytes that bind the name, the use and every public value. */
  readonly id: Uint8Array;
  readonly use: KeyUse;
  readonly bits: number;
  readonly publicKey: RsaPublicKey;
}

export interface SignAsked {
  /** As `keys` gave it: a signature is checked with its public key, and not with what somebody says meanwhile. */
  key: SignerKey;
  scheme: SignatureScheme;
  hash: HashName;
  /** Of what is signed, as long as the hash makes it. */
  digest: Uint8Array;
}

export interface Signed {
  /** Valid: it was verified with the key's public key. As long as the modulus. */
  signature: Uint8Array;
  epoch: number;
  /** The members whose partials made it. */
  signers: string[];
}

export interface DecryptAsked {
  key: SignerKey;
  /** RSAES-OAEP, as long as the modulus. */
  ciphertext: Uint8Array;
  hash: HashName;
  label: Uint8Array;
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
