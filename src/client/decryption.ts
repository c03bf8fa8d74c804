/**
 * The client's half of a decryption: it alone opens the sealed partials, combines them and unpads (protocol
 * §2 "Use"). The daemon that collected them is not trusted: what it changes does not combine, and it cannot
 * answer with a key of its own, whose plaintexts it could choose, in place of the one that was pinned when
 * the request was made. A daemon that lied about the key from the start is found out only by a public key
 * from elsewhere.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { Answer } from '../api/routes.ts';
import { decryptRequest, hexBytes } from '../api/wire.ts';
import { SealError } from '../cipher/seal-error.ts';
import { ArithmeticError, EncodingError, KeyError } from '../crypto/errors.ts';
import { bitLength, bytesToInteger } from '../crypto/integers.ts';
import { sealingKeyFromSeed } from '../crypto/key-agreement.ts';
import { decodeOaep, type HashName } from '../keys/rsa/encoding.ts';
import { proofContext, publicOf } from '../keys/rsa/kind.ts';
import { elementOf } from '../keys/rsa/numbers.ts';
import { publicKeyFromPem, publicKeyPem, type RsaPublicKey } from '../keys/rsa/public-forms.ts';
import { refutedPartials } from '../keys/rsa/refuted-partials.ts';
import { checkKeyPublic, type KeyPublic } from '../keys/rsa/sharing.ts';
import { combineRobust, decodeProof, type Proof } from '../keys/rsa/signing.ts';
import { sameBytes } from '../protocol/records/codec.ts';
import { ProtocolError } from '../protocol/records/errors.ts';
import { limits } from '../protocol/records/limits.ts';
import { type DecryptBody, signUse, type UseRequest } from '../protocol/records/use-request.ts';
import { openPartial } from '../sealing/partials.ts';
import { ClientError } from './client-error.ts';
import type { SigningKey } from './signing-key.ts';

type DecryptAnswer = Answer<'decrypt'>;

/** How a request that waits for its answer is kept in a file: whoever has it and the answer reads the plaintext. */
const savedSchema = z.strictObject({
  holdfast: z.literal('decryption'),
  request: decryptRequest,
  secretKey: hexBytes(32),
  /** Of the key that is asked, in PEM; null when only its id was known. */
  publicKey: z.string().nullable(),
});

export class Decryption {
  readonly request: UseRequest<DecryptBody>;
  /** X25519, for this one request. Secret; null once forgotten. */
  #secretKey: Uint8Array | null;
  #publicKey: RsaPublicKey | null;
  /** The first partials that did not combine: with a plaintext, they tell who spoiled it. */
  #failed: {
    answer: DecryptAnswer;
    partials: Map<number, { partial: bigint; proof: Proof | null }>;
  } | null = null;

  private constructor(
    request: UseRequest<DecryptBody>,
    secretKey: Uint8Array,
    publicKey: RsaPublicKey | null,
  ) {
    this.request = request;
    this.#secretKey = secretKey;
    this.#publicKey = publicKey;
  }

  /** `publicKey`: what the answer's key must be; null or left out when only its id is known. */
  static ask(options: {
    client: SigningKey;
    cluster: Uint8Array;
    key: Uint8Array;
    publicKey?: RsaPublicKey | null;
    ciphertext: Uint8Array;
    expiresAtMs: number;
  }): Decryption {
    const { client, publicKey = null, ...asked } = options;
    const seed = new Uint8Array(randomBytes(32));
    const { publicKey: sealingKey, secretKey } = sealingKeyFromSeed(seed);
    seed.fill(0);
    const request = signUse(client.seed, {
      ...asked,
      operation: 'decrypt',
      client: client.publicKey,
      sealingKey,
      nonce: new Uint8Array(randomBytes(16)),
    });
    return new Decryption(request, secretKey, publicKey);
  }

  /** For a file of its owner's only. */
  saved(): string {
    assert(this.#secretKey !== null, 'the one-time key is forgotten already');
    const { request } = this;
    const secretKey = this.#secretKey;
    const publicKey = this.#publicKey === null ? null : publicKeyPem(this.#publicKey);
    const saved = { holdfast: 'decryption', request, secretKey, publicKey } as const;
    return `${JSON.stringify(z.encode(savedSchema, saved))}\n`;
  }

  /** What `saved` wrote. Null for anything else. */
  static resume(text: string): Decryption | null {
    try {
      const { request, secretKey, publicKey } = savedSchema.parse(JSON.parse(text));
      return new Decryption(request, secretKey, publicKey === null ? null : publicKeyFromPem(publicKey));
    } catch {
      return null;
    }
  }

  /**
   * The padded block y with y^e = x, or null when the partials do not combine: ask again, with proofs. With
   * proofs, `culprits` names whose partial is false; a partial that does not open is. `refuted` names whose
   * partial was, in the first answer that did not combine, once another one of that epoch does. Throws
   * `ClientError('not-to-be-trusted')` for an answer with another key than was asked.
   */
  combine(answer: DecryptAnswer): { block: bigint | null; culprits: string[]; refuted: string[] } {
    const key = this.#keyIn(answer);
    const { epoch, threshold, membersMax } = answer;
    const modulusBits = bitLength(key.modulus);
    const partials = new Map<number, { partial: bigint; proof: Proof | null }>();
    for (const given of answer.partials) {
      const partial = this.#open(epoch, given);
      if (partial !== null) partials.set(given.index, partial);
    }
    const asked = {
      key,
      parameters: { membersMax, threshold, modulusBits },
      block: bytesToInteger(this.request.body.ciphertext),
      partials,
      commitments: answer.commitments.map(elementOf),
      context: proofContext(answer.key.id, epoch),
    };
    try {
      const result = combineRobust(asked);
      const culprits = namesIn(answer, partials, [...result.culprits, ...result.suspects]);
      if (result.signature === null) this.#failed ??= { answer, partials };
      if (result.signature === null || this.#failed?.answer.epoch !== epoch)
        return { block: result.signature, culprits, refuted: [] };
      const failed = this.#failed;
      const refuted = refutedPartials({ ...asked, result, failed: failed.partials });
      return {
        block: result.signature,
        culprits,
        refuted: namesIn(failed.answer, failed.partials, refuted),
      };
    } catch (error) {
      // The daemon's public values are no key, or its indices no members.
      if (error instanceof ArithmeticError) return { block: null, culprits: [], refuted: [] };
      throw error;
    }
  }

  /** From now on the answer's key must be this one. */
  pin(publicKey: RsaPublicKey): void {
    this.#publicKey = publicKey;
  }

  #keyIn({ key, membersMax, threshold }: DecryptAnswer): KeyPublic {
    if (threshold < 1 || threshold > membersMax || membersMax > limits.membersMax)
      throw new ClientError(
        'not-to-be-trusted',
        'the daemon answered for a group that cannot be; ask another peer',
      );
    try {
      const given = publicOf(key.public);
      const pinned = this.#publicKey ?? given;
      const isAsked =
        sameBytes(key.id, this.request.body.key) &&
        given.modulus === pinned.modulus &&
        given.exponent === pinned.exponent;
      if (!isAsked)
        throw new ClientError(
          'not-to-be-trusted',
          'the daemon answered with another key than was asked; ask another peer',
        );
      checkKeyPublic(given, membersMax);
      return given;
    } catch (error) {
      if (!(error instanceof KeyError)) throw error;
      throw new ClientError(
        'not-to-be-trusted',
        `the daemon answered with no key (${error.message}); ask another peer`,
      );
    }
  }

  forget(): void {
    this.#secretKey?.fill(0);
    this.#secretKey = null;
  }

  #open(
    epoch: number,
    { index, envelope }: DecryptAnswer['partials'][number],
  ): { partial: bigint; proof: Proof | null } | null {
    assert(this.#secretKey !== null, 'the one-time key is forgotten already');
    const tie = { body: this.request.body, epoch, index };
    try {
      const { partial, proof } = openPartial({ tie, secretKey: this.#secretKey, envelope });
      return { partial, proof: proof === null ? null : decodeProof(proof) };
    } catch (error) {
      if (error instanceof SealError || error instanceof ProtocolError || error instanceof EncodingError)
        return null;
      throw error;
    }
  }
}

/** Whose partial is false: one of these, or one that did not open. */
const namesIn = (
  answer: DecryptAnswer,
  opened: ReadonlyMap<number, unknown>,
  isFalse: readonly number[],
): string[] =>
  answer.partials
    .filter(({ index }) => isFalse.includes(index) || !opened.has(index))
    .map(({ name }) => name);

/** The plaintext in a padded block, or null for any defect: which one must not show. */
export function unpadded(
  block: bigint,
  modulus: bigint,
  padding: { hash: HashName; label: Uint8Array },
): Uint8Array | null {
  try {
    return decodeOaep(padding.hash, padding.label, block, bitLength(modulus));
  } catch (error) {
    if (error instanceof EncodingError) return null;
    throw error;
  }
}
