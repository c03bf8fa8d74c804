/**
 * What a member keeps beyond the undecided change, and for how long. Public links, retire proofs and notes go
 * into an archive of plain files as they come (`durable-records.ts`); the sealed store keeps of them what the
 * rules need, and of all that is only shown to people what is young enough and, of each member, not too much.
 * So its size does not depend on the number of epochs, nor on what a liar does in each.
 */

import { sameBytes } from '../records/codec.ts';
import { limits } from '../records/limits.ts';
import type { Value } from '../records/value.ts';
import { destroyedKeyKey, epochOfKey, readAccusationKey } from './record-keys.ts';
import { blamesOfMember, type Work } from './work.ts';

/**
 * The most that all of this comes to, where a link has at most `linkBytes` and a retire proof `proofBytes`: a
 * test holds a flooding liar to it.
 */
export const retainedBytesMax = (members: number, linkBytes: number, proofBytes: number): number =>
  members *
    (limits.blameBytesPerMemberMax +
      limits.accusationsPerMemberMax * recordBytes.accusation +
      limits.pausesPerMemberMax * recordBytes.pause) +
  limits.historyEpochsKept * (recordBytes.note + 2 * members) +
  limits.destroyedKeysKept * (recordBytes.destroyed + 130 * members) +
  // The epochs of the shares held: the last one retired, the newest, and at most one between.
  (limits.linksKept + 2) * linkBytes +
  limits.linksKept * proofBytes;

/** With its key, each without what grows with the members. */
const recordBytes = { accusation: 320, pause: 160, note: 160, destroyed: 300 } as const;

/** At a start: what another version, or another setting, kept beyond the bounds goes. */
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

/** After a record of a member was added: of all of that member in the section only the newest stay. */
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

/** At the decision: everything that is too old goes. */
export function dropExpired(work: Work): void {
  const { head, retired } = work.durable.own;
  const { shares } = work.durable;
  // A share is used under the keys of its own epoch: until Retire that may be an old one, at who was away.
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

/** Where not everything is kept, the oldest epochs leave the archive, a few with each decision. */
function dropOldArchive(work: Work): void {
  const { archiveEpochs } = work.before;
  if (archiveEpochs === null) return;
  const { head, oldest } = work.durable.own;
  const kept = Math.max(archiveEpochs, limits.archiveEpochsMin);
  const wanted = Math.min(head - kept + 1, oldest + limits.archiveEpochsDroppedAtOnce);
  if (wanted > oldest) work.own({ oldest: wanted });
}

/**
 * At the decision: keys that are gone, with those who held a share, until each of these has attended a later
 * change.
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
