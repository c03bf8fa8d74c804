/**
 * §4.1: two different Attends of one member for one plan. Everybody passes on only the first that it saw, so
 * a liar could show one to each half of the group; but the leader's evidence shows its one to all, and
 * whoever holds the other passes both on as one frame, which proves itself. It counts in the next value, also
 * when it is found after the decision.
 */

import { electors, headOf } from '../machine/queries.ts';
import { authorKey, readAuthorKey } from '../machine/record-keys.ts';
import { includesAll, instanceIn, type Said, slotOf } from '../machine/slots.ts';
import type { Work } from '../machine/work.ts';
import { type Attend, attendSchema, messageSchema } from '../records/change-messages.ts';
import { decode, hex, sameBytes } from '../records/codec.ts';
import { ProtocolError } from '../records/errors.ts';
import { limits } from '../records/limits.ts';
import { type Packet, verifyPacket } from '../records/packet.ts';
import { memberAt } from '../records/roster.ts';
import type { Value } from '../records/value.ts';

/**
 * Blames a member for two messages that contradict each other, and keeps both as proof: two votes, Attends or Haves are
 * short; the values of two proposals may be too long.
 */
export function blameBoth(
  work: Work,
  { epoch, by }: { epoch: number; by: number },
  first: Packet,
  second: Packet,
): void {
  const short = first.body.length + second.body.length <= limits.blameProofBytesMax;
  work.blame({ epoch, by, kind: 'contradiction', ...(short ? { proof: [first, second] } : {}) });
}

/**
 * Whether both packets are signed by the member whose epoch key this is, and contradict each other: one slot
 * of one change, other words. Needs nothing but the roster of that change (for a Ready, the one after it), so
 * anyone can check it.
 */
export function isProof(
  clusterId: Uint8Array,
  epochKey: Uint8Array,
  [first, second]: readonly [Packet, Packet],
): boolean {
  const [one, two] = [saidIn(first), saidIn(second)];
  if (
    one === null ||
    two === null ||
    ![first, second].every((packet) => verifyPacket(clusterId, epochKey, packet))
  )
    return false;
  const [slot, other] = [slotOf(one), slotOf(two)];
  const sameSlot =
    one.by === two.by &&
    one.epoch === two.epoch &&
    slot.section === other.section &&
    slot.key === other.key &&
    instanceIn(one) === instanceIn(two);
  if (!sameSlot || sameBytes(first.body, second.body)) return false;
  // A Have may grow.
  if (one.type !== 'have' || two.type !== 'have') return true;
  return !includesAll(one.digests, two.digests) && !includesAll(two.digests, one.digests);
}

function saidIn(packet: Packet): Said | null {
  try {
    const message = decode(messageSchema, packet.body);
    return message.type === 'dealing' ? null : message;
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}

/** Whether two Attends of a member for one change are kept already: no further ones of it are looked at. */
const isRecorded = (work: Work, epoch: number, by: number): boolean =>
  Object.entries(work.durable.contradictions).some(
    ([key, pair]) => readAuthorKey(key).by === by && decode(attendSchema, pair.first.body).epoch === epoch,
  );

/** Keeps both, once for each member and change, and blames it. Returns whether that was news. */
function record(
  work: Work<'contradiction'>,
  { epoch, by, ...attend }: Attend,
  first: Packet,
  second: Packet,
): boolean {
  const known = isRecorded(work, epoch, by);
  blameBoth(work, { epoch, by }, first, second);
  if (known) return false;
  work.put('contradictions', authorKey({ by, ...attend }), { first, second });
  work.rule('contradiction', { epoch, by });
  return true;
}

/** Two different Attends of the undecided change, both verified: from here they go to everybody. */
export function contradict(work: Work<'contradiction'>, attend: Attend, first: Packet, second: Packet): void {
  if (record(work, attend, first, second))
    work.emit({ type: 'publish', frame: { type: 'contradiction', first, second } });
}

/** Both Attends as somebody else found them, of the undecided change or the one before. Throws `ProtocolError`. */
export function receiveContradiction(work: Work<'contradiction'>, first: Packet, second: Packet): void {
  const [one, two] = [decode(attendSchema, first.body), decode(attendSchema, second.body)];
  const head = headOf(work);
  if (one.epoch !== head.epoch + 1 && one.epoch !== head.epoch) return;
  const parent = work.durable.links[one.epoch - 1]?.value;
  if (parent === undefined) return; // this member came later
  if (isRecorded(work, one.epoch, one.by)) return;
  if (!contradicts(work.clusterId, parent, one.by, first, second))
    throw new ProtocolError('bad-signature', `these are not two Attends of member ${one.by} for one plan`);
  if (one.epoch === head.epoch && !isOpen(parent, head, one.by)) return;
  record(work, two, first, second);
}

/**
 * Whether both packets are the member's own Attends for one plan of the change after `parent`, and differ.
 * Throws `malformed`.
 */
export function contradicts(
  clusterId: Uint8Array,
  parent: Value,
  index: number,
  first: Packet,
  second: Packet,
): boolean {
  const [one, two] = [decode(attendSchema, first.body), decode(attendSchema, second.body)];
  const member = memberAt(parent.roster, index);
  return (
    member !== undefined &&
    [one, two].every(({ by, epoch }) => by === index && epoch === parent.epoch + 1) &&
    sameBytes(one.plan, two.plan) &&
    !sameBytes(first.body, second.body) &&
    [first, second].every((packet) => verifyPacket(clusterId, member.epochKey, packet))
  );
}

/**
 * The Attends that a proposal shows may be others than those held here. What is wrong with them is `judge`'s
 * to say.
 */
export function compareShown(work: Work<'contradiction'>, shown: readonly Packet[]): void {
  const held = new Set(
    Object.values(work.durable.attends).map(({ carried }) => hex(carried.packet.signature)),
  );
  for (const packet of shown) {
    if (held.has(hex(packet.signature))) continue;
    const attend = attendIn(packet);
    // One of another epoch is no Attend of this change: nobody would take the pair for a proof.
    if (attend === null || attend.epoch !== headOf(work).epoch + 1) continue;
    const other = work.durable.attends[authorKey(attend)]?.carried.packet;
    if (other === undefined || sameBytes(other.body, packet.body)) continue;
    if (isRecorded(work, attend.epoch, attend.by)) continue;
    const member = memberAt(electors(work), attend.by);
    if (member !== undefined && verifyPacket(work.clusterId, member.epochKey, packet))
      contradict(work, attend, other, packet);
  }
}

/** The same for an Attend that came after the proposals. */
export function compareWithShown(work: Work<'contradiction'>): void {
  for (const { carried } of Object.values(work.durable.proposals))
    compareShown(work, carried.evidence?.attends ?? []);
}

function attendIn(packet: Packet): Attend | null {
  try {
    return decode(attendSchema, packet.body);
  } catch (error) {
    if (error instanceof ProtocolError) return null;
    throw error;
  }
}

const isOpen = (before: Value, value: Value, index: number): boolean =>
  memberAt(before.roster, index)?.peer === memberAt(value.roster, index)?.peer &&
  !value.suspended.some((suspension) => suspension.index === index);

/** At the decision: what the new value does not record yet stays for the next one, and nothing older. */
export function keepOpenContradictions(work: Work, before: Value, value: Value): void {
  work.retain('contradictions', (_, { first }) => {
    const attend = decode(attendSchema, first.body);
    return attend.epoch === value.epoch && isOpen(before, value, attend.by);
  });
}
