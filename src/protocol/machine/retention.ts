/**
 * Bounds everything that a member keeps beyond the undecided change. Public links, retire proofs and notes go
 * into an archive of plain files as they come (`durable-records.ts`). Of these, the sealed store keeps only
 * what the rules need. Records that are only shown to people stay while they are young enough, up to a number
 * for each member. So the store's size does not depend on the number of epochs, nor on the acts of a liar in
 * each.
 */

import { sameBytes } from '../records/codec.ts';
import { limits } from '../records/limits.ts';
import type { Value } from '../records/value.ts';
import { destroyedKeyKey, epochOfKey, readAccusationKey } from './record-keys.ts';
import { blamesOfMember, type Work } from './work.ts';

/**
 * The most bytes of all that this file bounds, when a link has at most `linkBytes` bytes and a retire proof
 * `proofBytes`. A test floods a member with lies and checks the bound.
 */
export const retainedBytesMax = (members: number, linkBytes: number, proofBytes: number): number =>
  members *
    (limits.blameBytesPerMemberMax +
      limits.accusationsPerMemberMax * recordBytes.accusation +
      limits.pausesPerMemberMax * recordBytes.pause) +
  limits.historyEpochsKept * (recordBytes.note + 2 * members) +
  limits.destroyedKeysKept * (recordBytes.destroyed + 130 * members) +
  // The epochs of the shares held: the last one retired, the newest one, and at most one between them.
  (limits.linksKept + 2) * linkBytes +
  limits.linksKept * proofBytes;

/** The bytes of a record with its key, without the part that grows with the members. */
const recordBytes = { accusation: 320, pause: 160, note: 160, destroyed: 300 } as const;

/** Applies the bounds at a start. Another version, or another setting, may have kept more. */
export function applyRetention(work: Work): void {
  dropExpired(work);
  const { blames, accusations, pauses } = work.durable;
  const members = {
    blames: Object.values(blames).map(({ by }) => by),
    accusations: Object.keys(accusations).map((key) => readAccusationKey(key).by),
    pauses: Object.values(pauses).map(({ index }) => index),
  };
  for (const section of ['blames', 'accusations', 'pauses'] as const)
    for (const member of new Set(members[section])) retainNewestOfMember(work, section, member);
  work.keepNewest('destroyed', () => true, { countMax: limits.destroyedKeysKept });
}

/**
 * Keeps only the newest records of a member in a section. It runs after a record of that member was added.
 */
export function retainNewestOfMember(
  work: Work,
  section: 'blames' | 'accusations' | 'pauses',
  member: number,
): void {
  switch (section) {
    case 'blames':
      return work.keepNewest(section, (_, { by }) => by === member, blamesOfMember);
    case 'accusations':
      return work.keepNewest(section, (key) => readAccusationKey(key).by === member, accusationsOfMember);
    case 'pauses':
      return work.keepNewest(section, (_, { index }) => index === member, pausesOfMember);
  }
}
const accusationsOfMember = { countMax: limits.accusationsPerMemberMax };
const pausesOfMember = { countMax: limits.pausesPerMemberMax };

/** Drops everything that is too old. It runs at the decision. */
export function dropExpired(work: Work): void {
  const { head, retired } = work.durable.own;
  const { shares } = work.durable;
  // A share is used under the keys of its own epoch. A member that was away may need an old epoch until
  // Retire.
  work.retain('links', (key) => {
    const epoch = Number(key);
    return epoch > head - limits.linksKept || epoch === retired || shares[epoch] !== undefined;
  });
  work.retain('retires', (key) => Number(key) > head - limits.linksKept);
  for (const section of ['notes', 'blames', 'pauses'] as const)
    work.retain(section, (key) => epochOfKey(key) > head - limits.historyEpochsKept);
  work.retain('accusations', (key) => epochOfKey(key) >= head - limits.accusationEpochsKept);
  dropOldArchive(work);
}

/** Drops the oldest epochs from the archive, a few with each decision, when the member does not keep all. */
function dropOldArchive(work: Work): void {
  const { archiveEpochs } = work.before;
  if (archiveEpochs === null) return;
  const { head, oldest } = work.durable.own;
  const kept = Math.max(archiveEpochs, limits.archiveEpochsMin);
  const wanted = Math.min(head - kept + 1, oldest + limits.archiveEpochsDroppedAtOnce);
  if (wanted > oldest) work.own({ oldest: wanted });
}

/**
 * Records, at the decision, the keys that are destroyed, and the members that held shares of them. A record
 * stays until each of these members has attended a later change.
 */
export function recordDestroyedKeys(work: Work, before: Value, value: Value): void {
  for (const { id, name } of before.keys)
    if (!value.keys.some((key) => sameBytes(key.id, id)))
      work.put('destroyed', destroyedKeyKey(value.epoch, id), {
        name,
        epoch: value.epoch,
        holders: before.roster.map(({ peer }) => peer),
      });
  work.retain('destroyed', (_, gone) =>
    value.roster.some(({ peer, keyEpoch }) => gone.holders.includes(peer) && keyEpoch <= gone.epoch),
  );
  work.keepNewest('destroyed', () => true, { countMax: limits.destroyedKeysKept });
}
