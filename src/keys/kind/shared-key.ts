/** One shared key of a kind: its dealings, its shares and the trial of new shares (protocol §3 to §5). */

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
