/**
 * What a kind of key is. The epoch change, recovery, agreement and erasure call a kind through these
 * interfaces and know nothing of what is inside: every number, group element and proof crosses as bytes in
 * the kind's own canonical encoding, which only the kind reads. A third kind is one folder and one line in
 * `kinds.ts`.
 */

import type { z } from 'zod';
import { CodedError } from '../crypto/errors.ts';

/** What arithmetic on one key needs. All of it is public. */
export interface KeySetting {
  /** The public values in the kind's encoding. They never change. */
  readonly public: Uint8Array;
  /** k: the members needed to use the key. */
  readonly threshold: number;
  /** M: the highest index ever, fixed for a cluster. */
  readonly membersMax: number;
}

/** Secret, uniformly random bytes. */
export type RandomBytes = (length: number) => Uint8Array;

export const keyUses = ['sign', 'decrypt'] as const;
export type KeyUse = (typeof keyUses)[number];

export interface Kind {
  readonly name: string;
  /** What keys of this kind may be created for, and how they serve it. */
  readonly operations: Readonly<Partial<Record<KeyUse, Operation>>>;
  /**
   * Whether the core itself sums commitments and checks proofs of trials. That is for kinds in whose groups a
   * sum of 64 dealings takes milliseconds. For all other kinds jobs do both, and the core does no arithmetic
   * in their groups.
   */
  readonly isQuick: boolean;

  /**
   * What every member checks of a new key before it counts. Public values that pass are bytes that no other
   * encoding gives. @throws KeyError with the rule that they break
   */
  checkPublic(publicBytes: Uint8Array, membersMax: number): void;

  /**
   * How other programs and people see the key. @throws KeyError for public values that no group would have
   * taken
   */
  publicForms(publicBytes: Uint8Array): PublicForms;

  /** Of two keys of a group these bytes differ: else a use of one could be a use of the other. */
  identityOf(publicBytes: Uint8Array): Uint8Array;

  /**
   * Whether all these bytes have the length and form of elements of the key's group. Costs next to nothing.
   * @param publicBytes empty while members create the key together
   */
  areWellFormed(publicBytes: Uint8Array, elements: readonly Uint8Array[]): boolean;

  /**
   * The commitments of a sum of polynomials. The given elements are well-formed. A shorter list, from before
   * k was raised, counts as filled up.
   * @returns null where one of them is no element of the group
   */
  combineCommitments(
    publicBytes: Uint8Array,
    lists: ReadonlyArray<readonly Uint8Array[]>,
  ): Uint8Array[] | null;

  /** How members create a key of this kind together; null where a key needs a dealer. */
  readonly joint: JointCreation | null;

  /** @throws KeyError for public values that are none */
  shared(setting: KeySetting): SharedKey;
}

export interface PublicForms {
  /** The size of the key, as people name it. */
  readonly bits: number;
  /** SubjectPublicKeyInfo in PEM (RFC 7468 §13). */
  readonly pem: string;
  /** RFC 7517. */
  readonly jwk: Readonly<Record<string, string>> & { readonly kty: string };
  /** Type and blob of the one line that OpenSSH reads (RFC 4253 §6.6), without a comment. */
  readonly ssh: string;
}

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

/** How a number lies in an envelope. */
export interface NumberCoding {
  /**
   * Always of one length, so that an envelope tells nothing of the number in it. @throws RangeError over the
   * bound
   */
  pack(number: Uint8Array): Uint8Array;
  /** @throws EncodingError for anything that `pack` would not have made */
  unpack(packed: Uint8Array): Uint8Array;
}

/** What a proof of possession is bound to: it says nothing of another change, key or dealer. */
export interface PossessionStatement {
  readonly cluster: Uint8Array;
  readonly plan: Uint8Array;
  /** What the key is called until the group has decided. */
  readonly creation: Uint8Array;
  readonly dealer: number;
}

/**
 * Members create a key together, and no machine ever knows it (Pedersen 1991; the proofs of possession as in
 * Komlo, Goldberg 2020): each deals a polynomial f_d of its own, with its own constant term, and a proof that
 * it knows that. The key is the sum of the accepted constant terms, a share the sum of the accepted numbers
 * f_d(j).
 */
export interface JointCreation extends NumberCoding {
  /** How many random bytes the coefficients of one part take, the constant term among them. */
  coefficientBytes(threshold: number): number;
  /** @throws RangeError for another number of bytes */
  coefficientsFrom(bytes: Uint8Array, threshold: number): Uint8Array[];
  /** The commitment to the constant term, then those to the other coefficients: `threshold` of them. */
  commit(coefficients: readonly Uint8Array[]): Uint8Array[];
  /** f_d(receiver), secret. */
  number(coefficients: readonly Uint8Array[], receiver: number): Uint8Array;
  /** Proves that the dealer knows its constant term. */
  possession(made: {
    statement: PossessionStatement;
    coefficients: readonly Uint8Array[];
    randomBytes: RandomBytes;
  }): Uint8Array;
  /**
   * Whether a part is one: as many elements as there must be, no constant term that is known to all, a true
   * proof.
   */
  checkPart(checked: {
    statement: PossessionStatement;
    threshold: number;
    commitments: readonly Uint8Array[];
    possession: Uint8Array;
  }): boolean;
  /** Whether a number fits the commitments of a part that was checked. */
  checkNumber(commitments: readonly Uint8Array[], receiver: number, number: Uint8Array): boolean;
  /** The key that checked parts make, with the commitments of its first shares; null where they make none. */
  combine(
    parts: ReadonlyArray<readonly Uint8Array[]>,
  ): { public: Uint8Array; commitments: Uint8Array[] } | null;
  /** The first share: the sum of a member's accepted numbers. */
  sum(numbers: readonly Uint8Array[]): Uint8Array;
}

/** A number that a receiver opened, with the commitments that it must fit. */
export interface SubShareCheck {
  readonly commitments: readonly Uint8Array[];
  readonly subShare: Uint8Array;
}

/** What a trial is bound to: it says nothing of another value, key or epoch. */
export interface TrialStatement {
  readonly cluster: Uint8Array;
  readonly epoch: number;
  /** Hash of the value whose shares are tried. */
  readonly value: Uint8Array;
  /** The key's id. */
  readonly key: Uint8Array;
}

/**
 * One key, shared among members: the polynomial f with the secret at 0, member i holding f(i). Commitments
 * are always those of an epoch's whole polynomial, `threshold − 1` of them, unless a parameter says
 * otherwise.
 */
export interface SharedKey extends NumberCoding {
  /** How many random bytes the coefficients of one dealing take. */
  readonly coefficientBytes: number;

  // ── dealings (protocol §3) ──

  /**
   * The secret coefficients of one dealing. @param bytes exactly `coefficientBytes` secret uniform bytes
   * @throws RangeError for another number of bytes
   */
  coefficientsFrom(bytes: Uint8Array): Uint8Array[];
  /** The dealer's commitments, public. */
  commit(coefficients: readonly Uint8Array[]): Uint8Array[];
  /** γ(receiver), secret: what the dealer sends. */
  subShare(coefficients: readonly Uint8Array[], receiver: number): Uint8Array;
  /**
   * Whether these are the commitments of a dealing: as many as there must be, each an element of the group.
   */
  isDealing(commitments: readonly Uint8Array[]): boolean;
  /**
   * For each dealing whether its number fits its commitments. Several are checked by one equation with fresh
   * secret weights, and one by one only when that fails.
   */
  checkSubShares(checks: readonly SubShareCheck[], receiver: number, randomBytes: RandomBytes): boolean[];
  /** Whether a number is the first share of `receiver` that the dealer of a new key owes it. */
  checkFirstShare(check: SubShareCheck, receiver: number): boolean;
  /**
   * share + Σ (index − root)·γ(index): the new share of an epoch (root 0), or a recovery helper's masked
   * share (root r). @throws EncodingError for bytes that are no numbers
   */
  applyDealings(applied: {
    share: Uint8Array;
    index: number;
    root: number;
    subShares: readonly Uint8Array[];
  }): Uint8Array;

  // ── shares ──

  /** Whether a share is the one of `index` under these commitments, and within its bound. */
  checkShare(commitments: readonly Uint8Array[], index: number, share: Uint8Array): boolean;
  /** v_i: what everybody can compute of the share of `index`. */
  verificationKey(commitments: readonly Uint8Array[], index: number): Uint8Array;
  /** Whether a helper's sum in a recovery run is its share plus exactly the chosen masks (protocol §5). */
  checkMaskedShare(check: {
    /** Of the epoch's shares. */
    commitments: readonly Uint8Array[];
    /** Of every chosen mask; all were checked as dealings before. */
    masks: ReadonlyArray<readonly Uint8Array[]>;
    /** The helper. */
    index: number;
    /** The index that recovers. */
    root: number;
    sum: Uint8Array;
  }): boolean;
  /** f(at) from k values by index; null when they lie on no such polynomial. */
  interpolate(values: ReadonlyMap<number, Uint8Array>, at: number): Uint8Array | null;

  // ── the trial of new shares (protocol §4.4, §4.5) ──

  /** What a member shows for its new share, without telling it. */
  trial(made: {
    statement: TrialStatement;
    index: number;
    share: Uint8Array;
    randomBytes: RandomBytes;
  }): Uint8Array;
  /**
   * What members showed, put together: a proof over exactly these trials, in their order. `proof` is null
   * where they are too few; `culprits` gave false trials, and a proof with their trials in it may be none;
   * the trials of `suspects` pass, and still the others do not fit them.
   */
  combineTrials(combined: {
    statement: TrialStatement;
    commitments: readonly Uint8Array[];
    trials: ReadonlyMap<number, Uint8Array>;
  }): { proof: Uint8Array | null; culprits: number[]; suspects: number[] };
  /** Whether a proof shows, to who has nothing but the value, that new shares are there. */
  checkTrialProof(checked: {
    statement: TrialStatement;
    commitments: readonly Uint8Array[];
    /** The members whose trials it was made of, in that order. */
    members: readonly number[];
    proof: Uint8Array;
  }): boolean;
}

/** A key that one machine knows whole, before it is shared. Secret. */
export interface SecretKey {
  readonly kind: string;
  /** As `Kind.identityOf` gives it of the shared key. */
  readonly identity: Uint8Array;
  /**
   * One sharing with fresh coefficients. @throws KeyError where these numbers give no key for such a group
   */
  share(group: Omit<KeySetting, 'public'> & { randomBytes: RandomBytes }): DealtKey;
}

/** One sharing of a key that one machine knows: what its order says, and what each member is dealt. */
export interface DealtKey {
  readonly kind: string;
  readonly public: Uint8Array;
  /** Of the polynomial of its first shares. */
  readonly commitments: Uint8Array[];
  /** The first share of a member, in the kind's encoding. Secret. */
  firstShare(receiver: number): Uint8Array;
}
