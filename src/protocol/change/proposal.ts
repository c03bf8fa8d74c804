/**
 * §4.3: taking in what a leader proposes. A proposal is long, and whoever keeps it makes it durable and sends
 * it on: so it is judged first, as far as its own evidence tells, and what that refutes is neither kept nor
 * sent on. What passes is just as long as the group makes it.
 */
import type { z } from 'zod';
import { hashOf } from '../../crypto/hash.ts';
import { electors, headOf, type ReadableState } from '../machine/queries.ts';
import { emitRefusal } from '../machine/refusal.ts';
import type { RefutedProposal } from '../machine/volatile-state.ts';
import type { Work } from '../machine/work.ts';
import {
  attendSchema,
  type Carried,
  type Evidence,
  hashOfEvidence,
  haveSchema,
  type Proposal,
  prevoteSchema,
} from '../records/change-messages.ts';
import { decode, type Hex, hex, sameBytes } from '../records/codec.ts';
import { ProtocolError } from '../records/errors.ts';
import { limits } from '../records/limits.ts';
import type { Packet } from '../records/packet.ts';
import { leaderOf } from '../records/roster.ts';
import { follows, hashOfValue } from '../records/value.ts';
import type { Versioned } from '../records/version.ts';
import { aheadMax, isPast, shownPrevoters } from './agree.ts';
import { blameBoth, compareShown } from './contradiction.ts';
import { keepMessage } from './message-slots.ts';
import { checkShown } from './validity.ts';

/** Keeps a verified proposal of its round's leader. Throws `bad-proposal`, `early` or `late`. */
export function receiveProposal(
  work: Work<'contradiction' | 'invalid-proposal'>,
  from: string,
  message: Proposal,
  carried: Carried,
): void {
  const head = headOf(work);
  if (message.round > aheadMax(work))
    throw new ProtocolError('early', 'the round is too far ahead', { action: 'ignore' });
  if (isPast(work, message.round, limits.proposalRoundsKept))
    throw new ProtocolError('late', 'the round is too far back', { action: 'ignore' });
  if (leaderOf(electors(work), head.epoch, message.round).index !== message.by)
    throw new ProtocolError('bad-proposal', `member ${message.by} does not lead round ${message.round}`, {
      culprit: message.by,
    });
  const kept = work.durable.proposals[message.round];
  if (kept !== undefined && sameBytes(kept.carried.packet.body, carried.packet.body)) return;
  // From here on nothing is verified for a proposal that is known, nor for a third one of its round.
  const known = work.volatile.refutedProposals[message.round];
  if (known?.contradicted) return emitRefusal(work, from, toldOften(message));
  if (known?.name === nameOf(carried.packet))
    return emitRefusal(work, from, refuted(work, message, 'it was refuted before'));
  if (kept === undefined && !isAheadOfItsOthers(work, message))
    throw new ProtocolError('early', 'its leader has proposed for a later round', { action: 'ignore' });
  const { evidence } = carried;
  // Whoever passes it on cannot spoil it.
  if (evidence === undefined || !sameBytes(hashOfEvidence(evidence), message.evidence))
    throw new ProtocolError('bad-proposal', 'a proposal came without its evidence');
  if (message.validRound >= message.round)
    throw new ProtocolError('bad-proposal', 'a valid round must be an earlier one', { culprit: message.by });
  const swollen = objectionOf(() => checkCounts(work, evidence));
  if (swollen === null) compareShown(work, evidence.attends);
  if (kept !== undefined) {
    keepMessage(work, message, carried); // the first stays, and both prove the contradiction
    remember(work, message, { name: nameOf(carried.packet), packet: null, contradicted: true });
    return emitRefusal(work, from, toldOften(message));
  }
  if (known !== undefined) blame(work, message, known.packet, carried.packet);
  const why = swollen ?? objectionOf(() => checkEvidence(work, message, evidence));
  if (why !== null) {
    refute(work, message, carried, why);
    return emitRefusal(work, from, refuted(work, message, why));
  }
  makeRoom(work, message);
  keepMessage(work, message, carried);
}

/**
 * What a check of a proposal says against it. Null when it passes.
 * @throws ProtocolError `other-version` for what this version cannot judge
 */
function objectionOf(check: () => void): string | null {
  try {
    check();
    return null;
  } catch (error) {
    if (error instanceof ProtocolError && error.code !== 'other-version') return error.message;
    throw error;
  }
}

/**
 * Of nobody more than one Attend, Have and prevote, as a leader keeps them: so one proposal has no more than
 * three signatures verified for each member, besides those of its orders. Without a look at any of them.
 * Throws `ProtocolError`.
 */
function checkCounts(state: ReadableState, { attends, haves, prevotes }: Evidence): void {
  checkCount(state, 'Attends', attends, attendSchema);
  checkCount(state, 'Haves', haves, haveSchema);
  checkCount(state, 'prevotes', prevotes, prevoteSchema);
}

function checkCount(
  state: ReadableState,
  what: string,
  packets: readonly Packet[],
  schema: z.ZodType<{ by: number }> & Versioned,
): void {
  const bad = (why: string): never => {
    throw new ProtocolError('bad-proposal', why);
  };
  if (packets.length > electors(state).length) bad(`it shows more ${what} than there are members`);
  if (new Set(packets.map(({ body }) => decode(schema, body).by)).size !== packets.length)
    bad(`it shows two ${what} of one member`);
}

/**
 * Throws `ProtocolError` for what its evidence says against it, from the newest value alone: everybody who
 * knows that says the same.
 */
function checkEvidence(state: ReadableState, message: Proposal, evidence: Evidence): void {
  checkShown(state, message.value, evidence);
  const shown = shownPrevoters(state, message, evidence, hashOfValue(message.value));
  if (shown.length !== evidence.prevotes.length)
    throw new ProtocolError('bad-proposal', 'it shows prevotes of another round or value');
}

/**
 * Its leader is reproached when it could have known better. An honest one proposes what passes `checkShown`
 * with itself, which asks for nothing but the proposal, the newest value, the instance (another one's
 * proposals are not taken here) and the value before the newest, for suspensions found late. So who follows
 * the same newest value, in the same instance, and is refuted by a member that has both values, has lied. Who
 * follows another value of that epoch (a group that was forced apart) may be honest, and a newcomer lacks the
 * value before.
 */
function refuted(state: ReadableState, { by, value }: Proposal, why: string): ProtocolError {
  const head = headOf(state);
  const isAlike =
    follows(value, head) && (head.epoch === 0 || state.durable.links[head.epoch - 1] !== undefined);
  return new ProtocolError('bad-proposal', why, { culprit: by, action: isAlike ? 'reject' : 'ignore' });
}

/**
 * What an honest leader says of a round is durable before it leaves, so it says nothing else there, whoever
 * judges it.
 */
const toldOften = ({ by, round }: Proposal): ProtocolError =>
  new ProtocolError('contradiction', `member ${by} proposes several times in round ${round}`, {
    culprit: by,
  });

/** Nothing is kept of it but what tells a second proposal of its round, and proves the two where they are short. */
function refute(work: Work<'invalid-proposal'>, message: Proposal, { packet }: Carried, why: string): void {
  const short = packet.body.length <= limits.blameProofBytesMax / 2;
  const contradicted = work.volatile.refutedProposals[message.round] !== undefined;
  remember(work, message, { name: nameOf(packet), packet: short ? packet : null, contradicted });
  const { epoch, round, by } = message;
  work.rule('invalid-proposal', { epoch, round, by, why });
}

function remember(work: Work, { round }: Proposal, refuted: RefutedProposal): void {
  work.volatile.refutedProposals = { ...work.volatile.refutedProposals, [round]: refuted };
}

/** For a second proposal of a round whose first one was refuted. */
function blame(work: Work, message: Proposal, first: Packet | null, second: Packet): void {
  if (first !== null) blameBoth(work, message, first, second);
  else work.blame({ epoch: message.epoch, by: message.by, kind: 'contradiction' });
}

const nameOf = ({ body }: Packet): Hex => hex(hashOf('holdfast/refuted/1', body));

const isAhead = (state: ReadableState, round: number): boolean =>
  round > (state.durable.own.rounds?.round ?? 0);

/** Of rounds ahead one proposal of each leader is kept, the latest: an honest one proposes in its own round only. */
const isAheadOfItsOthers = (state: ReadableState, { by, round }: Proposal): boolean =>
  !isAhead(state, round) ||
  Object.values(state.durable.proposals).every(({ message }) => message.by !== by || message.round < round);

function makeRoom(work: Work, { by, round }: Proposal): void {
  if (!isAhead(work, round)) return;
  work.retain('proposals', (_, { message }) => message.by !== by || !isAhead(work, message.round));
}
