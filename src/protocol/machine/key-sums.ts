/**
 * What accepted dealings make of keys (§3 "Applying", §4 "Joint creation"), and whether new shares were tried
 * (§4.5). The core computes it only for quick kinds of keys. For others jobs do. All of it is public.
 */
import { kindNamed } from '../../keys/kinds.ts';
import type { DealingPublic } from '../records/change-messages.ts';
import { sameBytes } from '../records/codec.ts';
import { isUnmade, type KeyRecord } from '../records/value.ts';
import type { Job, KeyBefore, KeySum } from './io.ts';
import { jointCreationOf, sharedKeyOf } from './shared-keys.ts';

/**
 * What the dealings make of each key: C_m ← ∏ C_m, and for a new key the sum of the constant terms. For kinds
 * that are not quick only jobs call it.
 * @param halves whose parts of new keys are judged to be true
 * @returns null where the dealings make no key, or where something is no element of a key's group
 */
export function sumKeys(keys: readonly KeyBefore[], halves: readonly DealingPublic[]): KeySum[] | null {
  const sums = keys.map(({ key, commitments }): KeySum | null => {
    const parts = halves.flatMap((half) =>
      half.parts.filter((part) => sameBytes(part.key, key.id)).map((part) => part.commitments),
    );
    if (isUnmade(key)) return jointCreationOf(key.kind).combine(parts);
    const sum = kindNamed(key.kind).combineCommitments(key.public, [commitments ?? [], ...parts]);
    return sum && { public: key.public, commitments: sum };
  });
  return sums.every((sum) => sum !== null) ? sums : null;
}

/** Whether the core may sum and judge these keys itself, without a job. */
export const areQuick = (keys: readonly KeyRecord[]): boolean =>
  keys.every(({ kind }) => kindNamed(kind).isQuick);

/**
 * Whether each key's proof in a retire proof is true, from the value alone. The first false one ends the
 * check.
 */
export const areProven = (of: Extract<Job, { kind: 'judge-retire' }>): boolean =>
  of.keys.every(({ setting, commitments, proof }) =>
    sharedKeyOf(setting).checkTrialProof({
      statement: { cluster: of.cluster, epoch: of.epoch, value: of.value, key: setting.key.id },
      commitments,
      members: of.members,
      proof,
    }),
  );
