/** How keys of a kind serve their clients: what is asked, what members give, and how it is put together. */
import type { z } from 'zod';
import { CodedError } from '../../crypto/errors.ts';
import type { KeySetting, RandomBytes, TrialStatement } from './shared-key.ts';

export const keyUses = ['sign', 'decrypt'] as const;
export type KeyUse = (typeof keyUses)[number];

/**
 * What a request asks of a key: plain data of a shape that the kind names, such as a digest and how it is
 * padded. The client signs it as it stands.
 */
export type Asked = Readonly<Record<string, string | Uint8Array>>;

/** Why no member serves what is asked. */
export class AskedError extends CodedError<
  'wrong-digest' | 'wrong-scheme' | 'wrong-ciphertext' | 'trial-block'
> {
  override readonly name = 'AskedError';
}

/** What a member gives towards a use. */
export interface GivenPartial {
  /** In the kind's encoding. */
  readonly partial: Uint8Array;
  /** Shows to everybody that the partial is true; null where none was asked for, or a partial needs none. */
  readonly proof: Uint8Array | null;
}

/** What the use of a key is about: all that its partials and proofs are bound to. */
export interface UseStatement {
  readonly setting: KeySetting;
  /** The key's id. */
  readonly key: Uint8Array;
  readonly epoch: number;
  readonly asked: Asked;
}

/** The nonce commitments of exactly those `threshold` members that answer together, by index, ascending. */
export type NonceCommitments = ReadonlyMap<number, Uint8Array>;

/** How keys of a kind serve one operation. */
export interface Operation {
  /**
   * Its shape as JSON on the one side, and as it is signed on the other. Whatever it encodes is of that
   * shape.
   */
  readonly asked: z.ZodType<Asked, Readonly<Record<string, string | undefined>>>;
  /** The names by which a client's right may be limited; none where there is one way only. */
  readonly schemes: readonly string[];
  /** By which of them something is asked; null where there is one way only. */
  schemeOf(asked: Asked): string | null;
  /** What an audit log says of it: a digest that whoever asked can find again, and the name of its hash. */
  digestOf(asked: Asked): { hash: string | null; digest: Uint8Array };
  /**
   * What holds of everything that is asked, be it a request or what a result is checked for. Needs no key.
   * @throws AskedError
   */
  checkForm(asked: Asked): void;
  /**
   * What every member checks before it touches anything secret. Nothing else is bound to a trial of the key's
   * shares under the newest value: that is never served. @throws AskedError
   */
  check(checked: {
    publicBytes: Uint8Array;
    asked: Asked;
    trial: Pick<TrialStatement, 'value' | 'key'>;
  }): void;

  /**
   * Null where any `threshold` partials combine. Else a use takes two rounds: each member first gives a nonce
   * commitment, and then a partial for one fixed set of members.
   */
  readonly nonces: NonceRound | null;

  /** What a member gives. @throws EncodingError for nonces or nonce commitments that are none */
  partial(made: {
    statement: UseStatement;
    share: Uint8Array;
    index: number;
    /** Whether a proof is wanted. */
    prove: boolean;
    randomBytes: RandomBytes;
    /** Of an operation with two rounds: this member's own nonces, and what all who answer committed to. */
    session: { nonces: Uint8Array; commitments: NonceCommitments } | null;
  }): GivenPartial;

  /** What partials give together. `culprits` gave false ones. */
  combine(combined: {
    statement: UseStatement;
    /** Of the key in that epoch. */
    commitments: readonly Uint8Array[];
    /** By index. */
    partials: ReadonlyMap<number, GivenPartial>;
    /** Those of a combination that failed before, of which nobody was proven false. */
    failed: ReadonlyMap<number, GivenPartial>;
    session: NonceCommitments | null;
  }): Combined;

  /** Whether this is what was asked for: a valid signature, a ciphertext's block. False, never an error. */
  verify(verified: { publicBytes: Uint8Array; asked: Asked; result: Uint8Array }): boolean;

  /**
   * The plaintext in a verified result of a decryption, by what only the client knows of the ciphertext.
   * @throws EncodingError for any defect, in the same words: which one must not show
   */
  plaintextIn?(opened: { publicBytes: Uint8Array; result: Uint8Array; padding: Asked }): Uint8Array;
}

/** What comes of partials. */
export interface Combined {
  /** Verified; null while too few true partials are there. */
  readonly result: Uint8Array | null;
  /** By index: they gave false partials, as proofs show. */
  readonly culprits: number[];
  /** Their proofs pass, and still their partials spoil the result. */
  readonly suspects: number[];
  /** Of the combination that failed before: false, as the result shows. */
  readonly refuted: number[];
}

/** The first round of an operation with two (FROST: RFC 9591 §5.1). */
export interface NonceRound {
  /**
   * A fresh pair of nonces, secret, and what the member commits to by it. A pair serves one answer, ever:
   * with a second one it gives the share away. @param context what the pair is bound to besides the share
   */
  draw(made: { setting: KeySetting; share: Uint8Array; context: Uint8Array; randomBytes: RandomBytes }): {
    nonces: Uint8Array;
    commitment: Uint8Array;
  };
  /** Whether bytes are what a member may commit to. False, never an error. */
  isCommitment(setting: KeySetting, commitment: Uint8Array): boolean;
}
