/**
 * §4.2, blame: who was dealt a false number says so, signed. Nobody else can check it, since only the
 * receiver could open the envelope; but accusations by more than `faults` members hold at least one honest
 * one, and are certain.
 */

import { z } from 'zod';
import { headOf, type ReadableState, signingSecret, valueFaults } from '../machine/queries.ts';
import { accusationKey, epochOfKey, readAccusationKey } from '../machine/record-keys.ts';
import { retainNewestOfMember } from '../machine/retention.ts';
import type { Work } from '../machine/work.ts';
import { decode, encode, shape } from '../records/codec.ts';
import { ProtocolError } from '../records/errors.ts';
import { type Packet, signPacket, verifyPacket } from '../records/packet.ts';
import { memberAt } from '../records/roster.ts';
import { operatorDealer, type Value } from '../records/value.ts';
import { record } from '../records/version.ts';

/** The dealing with this digest, made by `dealer` for the change to `epoch`, holds a false number for `by`. */
const accusationSchema = record('an accusation', 1, {
  type: z.literal('accuse'),
  by: shape.index,
  epoch: shape.epoch,
  dealer: shape.index,
  digest: shape.hash,
});
type Accusation = z.infer<typeof accusationSchema>;

/** Says that a dealing of the undecided change is false for this member. */
export function accuse(work: Work, accused: Pick<Accusation, 'epoch' | 'dealer' | 'digest'>): void {
  const signer = signingSecret(work);
  if (signer === null || accused.dealer === operatorDealer || accused.epoch !== headOf(work).epoch + 1)
    return;
  const accusation: Accusation = { v: 1, type: 'accuse', by: signer.index, ...accused };
  const packet = signPacket(work.clusterId, signer.secret, encode(accusation));
  if (keep(work, accusation, packet)) work.emit({ type: 'publish', frame: { type: 'accusation', packet } });
}

/** Of the undecided change, or of the one just decided. Throws `ProtocolError`. */
export function receiveAccusation(work: Work, packet: Packet): void {
  const accusation = decode(accusationSchema, packet.body);
  const { by, dealer, epoch } = accusation;
  const head = headOf(work);
  if (epoch !== head.epoch + 1 && epoch !== head.epoch) return;
  const parent = work.durable.links[epoch - 1]?.value;
  if (parent === undefined) return; // this member came later
  const member = memberAt(parent.roster, by);
  if (member === undefined || memberAt(parent.roster, dealer) === undefined || by === dealer)
    throw new ProtocolError('not-a-member', `${by} cannot accuse ${dealer}: they are not two members`);
  if (work.durable.accusations[accusationKey(accusation)] !== undefined) return;
  if (!verifyPacket(work.clusterId, member.epochKey, packet))
    throw new ProtocolError('bad-signature', `an accusation is not signed by member ${by}`);
  keep(work, accusation, packet);
}

/** Keeps one accusation by each member of each dealer and change; enough of them blame the dealer here too. */
function keep(work: Work, accusation: Accusation, packet: Packet): boolean {
  const { epoch, dealer } = accusation;
  if (work.durable.accusations[accusationKey(accusation)] !== undefined) return false;
  work.put('accusations', accusationKey(accusation), { packet });
  retainNewestOfMember(work, 'accusations', accusation.by);
  if (isCertain(work, epoch, dealer)) work.blame({ epoch, by: dealer, kind: 'false-sub-share' });
  return true;
}

/** Indices of the members that accuse a dealer of the change to `epoch`. */
export const accusersOf = (state: ReadableState, epoch: number, dealer: number): number[] =>
  Object.keys(state.durable.accusations)
    .map(readAccusationKey)
    .filter((accused) => accused.epoch === epoch && accused.dealer === dealer)
    .map(({ by }) => by);

/** More than `faults` members say so: one of them at least is honest. */
export function isCertain(
  state: ReadableState,
  epoch: number,
  dealer: number,
  parent: Value | undefined = state.durable.links[epoch - 1]?.value,
): boolean {
  return parent !== undefined && accusersOf(state, epoch, dealer).length > valueFaults(state, parent);
}

/** Those of the undecided change: they are sent again like its messages. */
export function openAccusations(state: ReadableState): Packet[] {
  const undecided = headOf(state).epoch + 1;
  return Object.entries(state.durable.accusations)
    .filter(([key]) => epochOfKey(key) === undecided)
    .map(([, { packet }]) => packet);
}
