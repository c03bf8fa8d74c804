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
import { decryptRequest } from '../api/wire.ts';
import { SealError } from '../cipher/seal-error.ts';
import { hexBytes } from '../crypto/bytes-as-text.ts';
import { ArithmeticError, EncodingError, KeyError } from '../crypto/errors.ts';
import { sealingKeyFromSeed } from '../crypto/key-agreement.ts';
import type { Asked, GivenPartial, Operation } from '../keys/kind/operation.ts';
import { kindNamed } from '../keys/kinds.ts';
import { decodeJson, sameBytes } from '../protocol/records/codec.ts';
import { isOfOtherVersion, ProtocolError } from '../protocol/records/errors.ts';
import { limits } from '../protocol/records/limits.ts';
import { type DecryptBody, signUse, type UseRequest } from '../protocol/records/use-request.ts';
import { record } from '../protocol/records/version.ts';
import { openPartial } from '../sealing/partials.ts';
import { ClientError } from './client-error.ts';
import type { SigningKey } from './signing-key.ts';

type DecryptAnswer = Answer<'decrypt'>;

/**
 * How a request that waits for its answer is kept in a file: whoever has it and the answer reads the
 * plaintext.
 */
const savedSchema = record('a decryption that waits for its answer', 1, {
  holdfast: z.literal('decryption'),
  request: decryptRequest,
  secretKey: hexBytes(32),
  /** The public key of the key that is asked, in PEM; null when only its id was known. */
  pem: z.string().nullable(),
});

export class Decryption {
  readonly request: UseRequest<DecryptBody>;
  /** X25519, for this one request. Secret; null once forgotten. */
  #secretKey: Uint8Array | null;
  /** What the answer's key must be; null when only its id is known. */
  #pem: string | null;
  /** The first partials that did not combine: with a plaintext, they tell who spoiled it. */
  #failed: { answer: DecryptAnswer; partials: Map<number, GivenPartial> } | null = null;

  private constructor(request: UseRequest<DecryptBody>, secretKey: Uint8Array, pem: string | null) {
    this.request = request;
    this.#secretKey = secretKey;
    this.#pem = pem;
  }

  /** @param options.pem the public key that the answer must be of; null when only the id is known */
  static ask(options: {
    client: SigningKey;
    cluster: Uint8Array;
    key: Uint8Array;
    kind: string;
    pem: string | null;
    asked: Asked;
    expiresAtMs: number;
  }): Decryption {
    const { client, pem, ...rest } = options;
    const seed = new Uint8Array(randomBytes(32));
    const { publicKey: sealingKey, secretKey } = sealingKeyFromSeed(seed);
    seed.fill(0);
    const request = signUse<DecryptBody>(client.seed, {
      v: 1,
      ...rest,
      operation: 'decrypt',
      client: client.publicKey,
      sealingKey,
      nonce: new Uint8Array(randomBytes(16)),
    });
    return new Decryption(request, secretKey, pem);
  }

  /** For a file of its owner's only. */
  saved(): string {
    assert(this.#secretKey !== null, 'the one-time key is forgotten already');
    const { request } = this;
    const secretKey = this.#secretKey;
    const saved = { v: 1, holdfast: 'decryption', request, secretKey, pem: this.#pem } as const;
    return `${JSON.stringify(z.encode(savedSchema, saved))}\n`;
  }

  /**
   * What `saved` wrote. Null for anything else.
   * @throws ProtocolError `other-version` for a later version of it
   */
  static resume(text: string): Decryption | null {
    try {
      const { request, secretKey, pem } = decodeJson(savedSchema, text);
      return new Decryption(request, secretKey, pem);
    } catch (error) {
      if (isOfOtherVersion(error)) throw error;
      return null;
    }
  }

  /**
   * The verified result, or null when the partials do not combine: ask again, with proofs. With proofs,
   * `culprits` names whose partial is false; a partial that does not open is. `refuted` names whose partial
   * was, in the first answer that did not combine, once another one of that epoch does. Throws
   * `ClientError('not-to-be-trusted')` for an answer with another key than was asked.
   */
  combine(answer: DecryptAnswer): { result: Uint8Array | null; culprits: string[]; refuted: string[] } {
    const operation = this.#operationIn(answer);
    const { epoch, threshold, membersMax, key, commitments } = answer;
    const partials = new Map<number, GivenPartial>();
    for (const given of answer.partials) {
      const partial = this.#open(epoch, given);
      if (partial !== null) partials.set(given.index, partial);
    }
    const failed = this.#failed?.answer.epoch === epoch ? this.#failed : null;
    const setting = { public: key.public, threshold, membersMax };
    try {
      const { result, culprits, suspects, refuted } = operation.combine({
        statement: { setting, key: key.id, epoch, asked: this.request.body.asked },
        ...{ commitments, partials, session: null },
        failed: failed?.partials ?? new Map(),
      });
      if (result === null) this.#failed ??= { answer, partials };
      return {
        result,
        culprits: namesIn(answer, partials, [...culprits, ...suspects]),
        refuted: result === null || failed === null ? [] : namesIn(failed.answer, failed.partials, refuted),
      };
    } catch (error) {
      // The daemon's public values are no key, or its indices no members.
      if (error instanceof ArithmeticError || error instanceof EncodingError)
        return { result: null, culprits: [], refuted: [] };
      throw error;
    }
  }

  /** From now on the answer's key must be this one, in PEM. */
  pin(pem: string): void {
    this.#pem = pem;
  }

  #operationIn({ key, membersMax, threshold }: DecryptAnswer): Operation {
    if (threshold < 1 || threshold > membersMax || membersMax > limits.membersMax)
      throw new ClientError(
        'not-to-be-trusted',
        'the daemon answered for a group that cannot be; ask another peer',
      );
    try {
      const kind = kindNamed(key.kind);
      const operation = kind.operations.decrypt;
      const { pem } = kind.publicForms(key.public);
      const isAsked = sameBytes(key.id, this.request.body.key) && pem === (this.#pem ?? pem);
      if (!isAsked || operation === undefined)
        throw new ClientError(
          'not-to-be-trusted',
          'the daemon answered with another key than was asked; ask another peer',
        );
      kind.checkPublic(key.public, membersMax);
      return operation;
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

  #open(epoch: number, { index, envelope }: DecryptAnswer['partials'][number]): GivenPartial | null {
    assert(this.#secretKey !== null, 'the one-time key is forgotten already');
    const tie = { body: this.request.body, epoch, index };
    try {
      return openPartial({ tie, secretKey: this.#secretKey, envelope });
    } catch (error) {
      if (error instanceof SealError || error instanceof ProtocolError) return null;
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
