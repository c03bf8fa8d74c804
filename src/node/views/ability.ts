/**
 * Decides what each member can do, as far as this peer knows. Every view, sentence and probe uses this
 * result. A signed Ready, also one in a retire proof, shows that a member holds its share. A connected
 * member's own statement counts more, because somebody may have put its store back after the Ready.
 */

import {
  changeQuorum,
  electors,
  headOf,
  holdsShare,
  isSleeper,
  isSuspended,
  listedSecret,
  signsIn,
} from '../../protocol/machine/queries.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import { type RetireProof, readySchema } from '../../protocol/records/change-messages.ts';
import { decode } from '../../protocol/records/codec.ts';
import type { Genesis } from '../../protocol/records/genesis.ts';
import { type Member, sleeps } from '../../protocol/records/roster.ts';
import type { Value } from '../../protocol/records/value.ts';
import type { Ability, Certainty } from './view.ts';

/** By retire proof, the indices of the members whose Readys it has. A proof never changes. */
const readyOf = new WeakMap<RetireProof, ReadonlySet<number>>();

/** The indices of the members whose Readys are in a proof. */
export function readyIn(proof: RetireProof): ReadonlySet<number> {
  const known = readyOf.get(proof);
  if (known !== undefined) return known;
  const ready = new Set(proof.readys.map((packet) => decode(readySchema, packet.body).by));
  readyOf.set(proof, ready);
  return ready;
}

/** The certainty that both are true. */
export const both = (one: Certainty, other: Certainty): Certainty =>
  one === 'no' || other === 'no' ? 'no' : one === 'yes' && other === 'yes' ? 'yes' : 'unknown';

/**
 * The abilities of every member of the newest roster, in its order. `reachable` has the peer ids with a
 * proven connection. `doubled` has the peer ids of members on two machines: nobody knows which of the two
 * machines spoke.
 */
export function abilitiesIn(
  state: CoreState,
  reachable: ReadonlySet<string>,
  doubled: ReadonlySet<string> = new Set(),
): Ability[] {
  const head = headOf(state);
  const up = electors(state).filter(({ peer }) => peer === state.peer || reachable.has(peer)).length;
  // After a restart a member signs once a quorum has told it its earlier signatures (protocol §4).
  const askingEnds: Certainty = up >= changeQuorum(state) ? 'yes' : 'no';
  // A peer that cannot prove its own epoch key gets no proof of any other member.
  const blind = listedSecret(state) === null;
  return head.roster.map((member) => {
    const { index, name, peer } = member;
    const self = peer === state.peer;
    if (doubled.has(peer) && !self) return doubledMember(state, member, connectionTo(state, peer, reachable));
    const connection = connectionTo(state, peer, reachable);
    const isUp: Certainty =
      connection === 'self' || connection === 'proven'
        ? 'yes'
        : connection === 'unproven' && blind
          ? 'unknown'
          : 'no';
    const share = shareOf(state, member, connection !== 'unproven');
    const holds = certaintyOf(share);
    const signing = signsNow(state, peer);
    const barred = isSuspended(state, index)
      ? 'suspended'
      : isSleeper(state, index)
        ? 'away-too-long'
        : connection === 'unproven' && !blind
          ? 'unproven'
          : signing === 'no'
            ? 'store-went-back'
            : null;
    const speaks = signing === 'asking' ? askingEnds : signing;
    const attend = barred === null ? both(isUp, speaks) : 'no';
    return {
      ...{ index, name, self, connection, share, ready: wasReady(state, index), barred },
      can: {
        sign: both(isUp, usable(state, member)),
        help: both(isUp, both(holds, speaks)),
        attend,
        deal: both(attend, holds),
      },
    };
  });
}

/**
 * A member on two machines. One machine may have lost the share of the other one, so only its old Ready is
 * certain.
 */
function doubledMember(
  state: CoreState,
  { index, name }: Member,
  connection: Ability['connection'],
): Ability {
  const ready = wasReady(state, index);
  const sign: Certainty = ready && connection !== 'none' ? 'yes' : 'unknown';
  return {
    ...{ index, name, self: false, connection, ready, share: ready ? 'held' : 'unknown' },
    barred: 'on-two-machines',
    can: { sign, attend: 'unknown', deal: 'unknown', help: 'unknown' },
  };
}

const certaintyOf = (share: Ability['share']): Certainty =>
  share === 'held' ? 'yes' : share === 'missing' ? 'no' : 'unknown';

function connectionTo(state: CoreState, peer: string, reachable: ReadonlySet<string>): Ability['connection'] {
  if (peer === state.peer) return 'self';
  if (reachable.has(peer)) return 'proven';
  return state.volatile.connected[peer] ? 'unproven' : 'none';
}

/**
 * Whether the member holds its share of the newest epoch. A connected member that proves nothing may have
 * lost it since.
 */
function shareOf(state: CoreState, { index, peer }: Member, proves = true): Ability['share'] {
  const head = headOf(state);
  if (peer === state.peer) return holdsShare(state) ? 'held' : 'missing';
  if (head.keys.length === 0) return 'held';
  const said = state.volatile.saidOfSelf[peer];
  if (said !== undefined && said.epoch >= head.epoch) return said.holds === head.epoch ? 'held' : 'missing';
  if (wasReady(state, index)) return proves ? 'held' : 'unknown';
  // Such a member is dealt nothing, and no member helps it.
  return isSuspended(state, index) || isSleeper(state, index) ? 'missing' : 'unknown';
}

function wasReady(state: CoreState, index: number): boolean {
  const proof = state.durable.retires[state.durable.own.head];
  return state.durable.readys[index] !== undefined || (proof !== undefined && readyIn(proof).has(index));
}

/**
 * Whether the member holds a share with which it can use keys. Until this peer has retired the epoch before,
 * a share of that epoch serves too.
 */
function usable(state: CoreState, member: Member): Certainty {
  const { head, retired } = state.durable.own;
  if (retired >= head) return certaintyOf(shareOf(state, member));
  if (member.peer === state.peer) return holdsShare(state, retired) || holdsShare(state) ? 'yes' : 'no';
  const said = state.volatile.saidOfSelf[member.peer];
  if (said !== undefined) return said.holds !== null && said.holds >= retired ? 'yes' : 'no';
  const proof = state.durable.retires[retired];
  return proof !== undefined && readyIn(proof).has(member.index) ? 'yes' : 'unknown';
}

/**
 * Whether the member signs in the undecided change. A member that proved its epoch key has it. A new epoch
 * ends an older silence.
 */
function signsNow(state: CoreState, peer: string): Certainty | 'asking' {
  if (peer === state.peer) return signsIn(state);
  const said = state.volatile.saidOfSelf[peer];
  if (said === undefined) return 'unknown';
  return said.epoch < headOf(state).epoch ? 'yes' : said.signs;
}

/**
 * The best abilities that the value allows: members for which `isUp` is true have their shares, unless they
 * are suspended or were away too long.
 */
export function abilitiesAtBest(
  { absentEpochsMax }: Pick<Genesis, 'absentEpochsMax'>,
  { roster, suspended, epoch }: Value,
  isUp: (member: Member) => boolean = () => true,
): Ability[] {
  return roster.map((member) => {
    const { index, name } = member;
    const isOut = suspended.some((each) => each.index === index);
    const barred = isOut ? 'suspended' : sleeps(member, epoch, absentEpochsMax) ? 'away-too-long' : null;
    const up = isUp(member);
    const able: Certainty = up && barred === null ? 'yes' : 'no';
    return {
      ...{ index, name, self: false, connection: up ? 'proven' : 'none', ready: false, barred },
      share: barred === null ? 'held' : 'missing',
      can: { sign: able, attend: able, deal: able, help: able },
    };
  });
}
