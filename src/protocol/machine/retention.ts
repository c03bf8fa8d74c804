/**
 * What a member keeps beyond the undecided change, and for how long. Public links, retire proofs and notes go
 * into an archive of plain files as they come (`durable-records.ts`); the sealed store keeps of them what the
 * rules need, and of all that is only shown to people what is young enough and, of each member, not too much.
 * So its size does not depend on the number of epochs, nor on what a liar does in each.
 */
import { hex, sameBytes } from '../records/codec.ts';
import { limits } from '../records/limits.ts';
import type { Value } from '../records/value.ts';
import type { Work } from './work.ts';

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

const epochIn = (key: string): number => Number(key.split('/')[0]);

/** At a start: what another version, or another setting, kept beyond the bounds goes. */
export function applyRetention(work: Work): void {
  dropExpired(work);
  for (const section of ['blames', 'accusations', 'pauses'] as const) {
    const { part } = bounds[section];
    const members = new Set(Object.keys(work.durable[section]).map((key) => key.split('/')[part] ?? ''));
    for (const member of members) retainNewestOfMember(work, section, member);
  }
  work.keepNewest('destroyed', () => true, { countMax: limits.destroyedKeysKept });
}

const bounds = {
  /** `epoch/by/kind`. */
  blames: { part: 1, countMax: limits.blamesPerMemberMax, bytesMax: limits.blameBytesPerMemberMax },
  /** `epoch/dealer/accuser`. */
  accusations: { part: 2, countMax: limits.accusationsPerMemberMax },
  /** `epoch/kind/index`. */
  pauses: { part: 2, countMax: limits.pausesPerMemberMax },
} as const;

/** After a record of a member was added: of all of that member in the section only the newest stay. */
export function retainNewestOfMember(work: Work, section: keyof typeof bounds, member: string): void {
  const { part, ...max } = bounds[section];
  work.keepNewest(section, (key) => key.split('/')[part] === member, max);
}

/** At the decision: everything that is too old goes. */
export function dropExpired(work: Work): void {
  const { head, retired } = work.durable.own;
  const { shares } = work.durable;
  // A share is used under the keys of its own epoch: until Retire that may be an old one, at who was away.
  work.retain(
    'links',
    (key) => Number(key) > head - limits.linksKept || Number(key) === retired || shares[key] !== undefined,
  );
  work.retain('retires', (key) => Number(key) > head - limits.linksKept);
  for (const section of ['notes', 'blames', 'pauses'] as const)
    work.retain(section, (key) => epochIn(key) > head - limits.historyEpochsKept);
  work.retain('accusations', (key) => epochIn(key) >= head - limits.accusationEpochsKept);
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
      work.put('destroyed', `${value.epoch}/${hex(id)}`, {
        name,
        epoch: value.epoch,
        holders: before.roster.map(({ peer }) => peer),
      });
  const { destroyed } = work.durable;
  work.retain('destroyed', (key) =>
    value.roster.some(({ peer, keyEpoch }) => {
      const gone = destroyed[key];
      return gone?.holders.includes(peer) === true && keyEpoch <= gone.epoch;
    }),
  );
  work.keepNewest('destroyed', () => true, { countMax: limits.destroyedKeysKept });
}
