/** How members create a key of a kind together. */
import type { NumberCoding, RandomBytes } from './shared-key.ts';

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
