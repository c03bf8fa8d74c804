/**
 * §4.3: taking in what a leader proposes. A proposal is long, and whoever keeps it makes it durable and sends it on: so it
 * is judged first, as far as its own evidence tells, and what that refutes is neither kept nor sent on. What passes is just
 * as long as the group makes it.
 */
import { hashOf } from '../crypto/hash.ts';
import { aheadMax, isPast, shownPrevoters } from './agree.ts';
import { hex, sameBytes } from './codec.ts';
import { blameBoth, compareShown } from './contradiction.ts';
import { ProtocolError } from './errors.ts';
import { limits } from './limits.ts';
import { type Carried, type Evidence, hashOfEvidence, type Proposal } from './messages.ts';
import type { Packet } from './packet.ts';
import { electors, headOf, type View } from './queries.ts';
import { leaderOf } from './roster.ts';
import { keep } from './say.ts';
import type { Hex } from './state.ts';
import { checkShown } from './validity.ts';
import { hashOfValue } from './value.ts';
import type { Work } from './work.ts';

/** Keeps a verified proposal of its round's leader. Throws `bad-proposal`, `early` or `late`. */
export function receiveProposal(work: Work, message: Proposal, carried: Carried): void {
  const head = headOf(work);
  if (message.round > aheadMax(work))
    throw new ProtocolError('early', 'the round is too far ahead', { action: 'ignore' });
  if (isPast(work, message.round, limits.proposalRoundsKept))
    throw new ProtocolError('late', 'the round is too far back', { action: 'ignore' });
  if (leaderOf(electors(work), head.epoch, message.round).index !== message.by)
    throw new ProtocolError('bad-proposal', `member ${message.by} does not lead round ${message.round}`, {
      culprit: message.by,
    });
  const { evidence } = carried;
  // Whoever passes it on cannot spoil it.
  if (evidence === undefined || !sameBytes(hashOfEvidence(evidence), message.evidence))
    throw new ProtocolError('bad-proposal', 'a proposal came without its evidence');
  if (message.validRound >= message.round)
    throw new ProtocolError('bad-proposal', 'a valid round must be an earlier one', { culprit: message.by });
  compareShown(work, evidence.attends);
  if (work.durable.proposals[message.round] === undefined) {
    if (isKnownToBeRefuted(work, message, carried)) return;
    if (!isAheadOfItsOthers(work, message))
      throw new ProtocolError('early', 'its leader has proposed for a later round', { action: 'ignore' });
    const why = refutation(work, message, evidence);
    if (why !== null) return refute(work, message, carried, why);
    makeRoom(work, message);
  }
  keep(work, message, carried);
}

/** What its evidence says against a proposal, from the newest value alone: everybody who knows that says the same. */
function refutation(view: View, message: Proposal, evidence: Evidence): string | null {
  try {
    checkShown(view, message.value, evidence);
  } catch (error) {
    if (error instanceof ProtocolError) return error.message;
    throw error;
  }
  const shown = shownPrevoters(view, message, evidence, hashOfValue(message.value));
  const whole = shown.length === evidence.prevotes.length && new Set(shown).size === shown.length;
  return whole ? null : 'it shows prevotes of another round or value';
}

/** Nothing is kept of it but what tells a second proposal of its round, and proves the two where they are short. */
function refute(work: Work, { round, by, epoch }: Proposal, { packet }: Carried, why: string): void {
  const short = packet.body.length <= limits.blameProofBytesMax / 2;
  const before = work.volatile.refutedProposals[round];
  const refuted = {
    name: nameOf(packet),
    packet: short ? packet : null,
    contradicted: before !== undefined,
  };
  work.volatile.refutedProposals = { ...work.volatile.refutedProposals, [round]: refuted };
  work.rule('invalid-proposal', { epoch, round, by, why });
}

/** Whether a proposal of this round was refuted already: the same one, or others than this, which its leader is blamed for. */
function isKnownToBeRefuted(work: Work, message: Proposal, { packet }: Carried): boolean {
  const known = work.volatile.refutedProposals[message.round];
  if (known === undefined) return false;
  if (known.contradicted || known.name === nameOf(packet)) return true;
  if (known.packet !== null) blameBoth(work, message, known.packet, packet);
  else work.blame({ epoch: message.epoch, by: message.by, kind: 'contradiction' });
  return false;
}

const nameOf = ({ body }: Packet): Hex => hex(hashOf('holdfast/refuted/1', body));

const isAhead = (view: View, round: number): boolean => round > (view.durable.own.rounds?.round ?? 0);

/** Of rounds ahead one proposal of each leader is kept, the latest: an honest one proposes in its own round only. */
const isAheadOfItsOthers = (view: View, { by, round }: Proposal): boolean =>
  !isAhead(view, round) ||
  Object.values(view.durable.proposals).every(({ message }) => message.by !== by || message.round < round);

function makeRoom(work: Work, { by, round }: Proposal): void {
  if (!isAhead(work, round)) return;
  const { proposals } = work.durable;
  work.retain('proposals', (key) => proposals[key]?.message.by !== by || !isAhead(work, Number(key)));
}
