/**
 * What a kind of key is. The epoch change, recovery, agreement and erasure call a kind through these
 * interfaces and know nothing of what is inside: every number, group element and proof crosses as bytes in
 * the kind's own canonical encoding, which only the kind reads. A third kind is one folder and one line in
 * `kinds.ts`.
 */
import type { JointCreation } from './joint-creation.ts';
import type { KeyUse, Operation } from './operation.ts';
import type { KeySetting, SharedKey } from './shared-key.ts';

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
