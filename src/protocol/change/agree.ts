/**
 * §4.3 Agree: one-shot Tendermint (Buchman, Kwon, Milosevic 2018, algorithm 1; line numbers below are the paper's) over
 * the value of the next epoch. A quorum of precommits is the certificate.
 */

import type { Entry, RoundStep, Rounds } from '../machine/durable-state.ts';
import { isBusy } from '../machine/failing-jobs.ts';
import {
  changeFaults,
  changeQuorum,
  electors,
  instanceOf,
  type ReadableState,
  signingSecret,
  voteEntriesOf,
  votesOf,
} from '../machine/queries.ts';
import { invalidKey } from '../machine/record-keys.ts';
import type { Work } from '../machine/work.ts';
import {
  type Carried,
  type Evidence,
  type Proposal,
  prevoteSchema,
  type Vote,
} from '../records/change-messages.ts';
import { decode, type Hex, hex, sameBytes } from '../records/codec.ts';
import { ProtocolError } from '../records/errors.ts';
import { limits } from '../records/limits.ts';
import type { Link } from '../records/link.ts';
import type { Order } from '../records/order.ts';
import { verifyPacket } from '../records/packet.ts';
import { present } from '../records/present.ts';
import { memberAt } from '../records/roster.ts';
import { hashOfValue, type KeyCommitments } from '../records/value.ts';
import { keepMessage, signAndPublish } from './message-slots.ts';
import { judge, type Verdict } from './validity.ts';

const roundsOf = (work: Work): Rounds | null => work.durable.own.rounds;
/** In a rule that fires in a round. */
const openRoundsOf = (work: Work): Rounds => present(roundsOf(work), 'a round');
/** A proposal is kept with its evidence only. */
export const evidenceOf = ({ carried }: Entry<Proposal>): Evidence => present(carried.evidence, 'evidence');
const setRounds = (work: Work, change: Partial<Rounds>): void => {
  work.own({ rounds: { ...openRoundsOf(work), ...change } });
};

/** Timeouts grow by round; round 0 adds the dealing window; capped (§4). */
function timeoutMs(state: ReadableState, step: RoundStep, round: number): number {
  const growth = Math.max(0, round - state.volatile.timeoutsFromRound);
  const grown = Math.min(state.timing.roundTimeoutMs * (1 + growth / 2), limits.roundTimeoutMaxMs);
  return step === 'propose' && round === 0 ? grown + state.timing.dealingWindowMs : grown;
}

function startTimer(work: Work, step: RoundStep): boolean {
  const rounds = openRoundsOf(work);
  if (work.volatile.timers[step]?.round === rounds.round) return false;
  const atMs = work.nowMs + timeoutMs(work, step, rounds.round);
  work.volatile.timers = { ...work.volatile.timers, [step]: { round: rounds.round, atMs } };
  return true;
}
const timedOut = (work: Work, step: RoundStep): boolean => {
  const timer = work.volatile.timers[step];
  return timer !== undefined && timer.round === roundsOf(work)?.round && work.nowMs >= timer.atMs;
};

// ── taking in
// ─────────────────────────────────────────────────────────────────────────────────────────────────────────

export const aheadMax = (state: ReadableState): number =>
  (state.durable.own.rounds?.round ?? 0) + limits.roundsAheadMax;

/**
 * Whether what was said in a round goes, when the present one and so many before it are kept, and the locked
 * and valid ones.
 */
export function isPast(state: ReadableState, round: number, roundsKept: number): boolean {
  const { rounds } = state.durable.own;
  return (
    rounds !== null &&
    round < rounds.round - roundsKept &&
    round !== rounds.locked?.round &&
    round !== rounds.valid?.round
  );
}

export function receiveVote(work: Work, message: Vote, carried: Carried): void {
  if (isPast(work, message.round, limits.roundsKept))
    throw new ProtocolError('late', 'the round is too far back', { action: 'ignore' });
  if (message.round > aheadMax(work)) makeRoomAhead(work, message);
  keepMessage(work, message, carried);
}

/**
 * Of rounds far ahead one vote a member is kept, the latest, so that a member which comes back after hundreds of rounds
 * still learns where the others are (rule `jump-round`); nobody keeps what was said in its own round. Throws `early`.
 */
function makeRoomAhead(work: Work, { by, round }: Vote): void {
  const isFar = (vote: Vote): boolean => vote.by === by && vote.round > aheadMax(work);
  const known = Object.values(work.durable.votes).filter(({ message }) => isFar(message));
  // Where nobody may be faulty, one vote would be enough to jump, and one member could drag everybody away.
  if (changeFaults(work) === 0 || known.some(({ message }) => message.round >= round))
    throw new ProtocolError('early', 'the round is too far ahead', { action: 'ignore' });
  work.retain('votes', (_, { message }) => !isFar(message));
}

// ── everybody
// ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * A proposal, of any round, of the value with this hash, whose evidence shows that it is valid. The hash is not of the
 * evidence: a leader that lies can propose an honest leader's value again with nothing behind it.
 */
export function validProposalOf(
  work: Work,
  hash: Hex,
): { entry: Entry<Proposal>; commitments: KeyCommitments } | null {
  for (const entry of Object.values(work.durable.proposals)) {
    if (hex(hashOfValue(entry.message.value)) !== hash) continue;
    const verdict = judgeEntry(work, entry);
    if (verdict.verdict === 'valid') return { entry, commitments: verdict.commitments };
  }
  return null;
}

const votesFor = (state: ReadableState, type: Vote['type'], round: number, hash: Hex | null): Vote[] =>
  votesOf(state, type, round).filter(({ value }) =>
    value === null ? hash === null : hash !== null && hex(value) === hash,
  );

/** Signed votes for a value: what a re-proposal shows. */
export const votesPackets = (state: ReadableState, type: Vote['type'], round: number, hash: Hex) =>
  voteEntriesOf(state, type, round)
    .filter(({ message: { value } }) => value !== null && hex(value) === hash)
    .map(({ carried }) => carried.packet);

/**
 * Members that prevoted for a value in the round that its proposal names (line 28): those seen here and those
 * whose votes it carries, so that a member that voted both ways cannot keep them from a peer that holds its
 * other vote.
 */
export function prevotersOf(
  state: ReadableState,
  { message, carried }: Entry<Proposal>,
  hash: Uint8Array,
): Set<number> {
  const { evidence } = carried;
  const shown = evidence === undefined ? [] : shownPrevoters(state, message, evidence, hash);
  const seen = votesFor(state, 'prevote', message.validRound, hex(hash)).map(({ by }) => by);
  return new Set([...seen, ...shown]);
}

/** Whose prevotes for the value in the valid round a proposal shows truly, in the order in which it shows them. */
export function shownPrevoters(
  state: ReadableState,
  message: Proposal,
  evidence: Evidence,
  hash: Uint8Array,
): number[] {
  const instance = instanceOf(state);
  return evidence.prevotes.flatMap((packet) => {
    const said = decode(prevoteSchema, packet.body);
    const member = memberAt(electors(state), said.by);
    const fits =
      (said.instance === null
        ? instance === null
        : instance !== null && sameBytes(said.instance, instance)) &&
      said.epoch === message.epoch &&
      said.round === message.validRound &&
      said.value !== null &&
      sameBytes(said.value, hash);
    return fits && member !== undefined && verifyPacket(state.clusterId, member.epochKey, packet)
      ? [said.by]
      : [];
  });
}

/** The last verdict that a job is needed for, by proposal. */
const pending = new WeakMap<Entry<Proposal>, Verdict & { verdict: 'pending' }>();

/**
 * Judges a proposal, and starts the job that the verdict needs. The proposal is not judged anew before the
 * job ends.
 */
function judgeEntry(work: Work, entry: Entry<Proposal>): Verdict {
  const awaited = pending.get(entry);
  if (awaited !== undefined && isBusy(work, awaited.tag)) return awaited;
  const verdict = judge(work, entry.message.value, evidenceOf(entry));
  if (verdict.verdict !== 'pending') return verdict;
  pending.set(entry, verdict);
  work.compute(verdict.tag, verdict.job);
  return verdict;
}

/** The verdict on a proposal's value. It is remembered once it is `valid` or `invalid`. */
function verdictOn(work: Work<'invalid-proposal'>, entry: Entry<Proposal>): Verdict['verdict'] {
  const hash = hex(hashOfValue(entry.message.value));
  if (work.volatile.verdicts[hash] === 'valid') return 'valid';
  // An invalid verdict is about this evidence; the same value may come again with better evidence in another round.
  const key = invalidKey(hash, entry.message.round);
  if (work.volatile.verdicts[key] === 'invalid') return 'invalid';
  const verdict = judgeEntry(work, entry);
  if (verdict.verdict === 'valid') work.volatile.verdicts = { ...work.volatile.verdicts, [hash]: 'valid' };
  if (verdict.verdict === 'invalid') {
    work.volatile.verdicts = { ...work.volatile.verdicts, [key]: 'invalid' };
    work.rule('invalid-proposal', {
      epoch: entry.message.epoch,
      round: entry.message.round,
      by: entry.message.by,
      why: verdict.why,
    });
  }
  return verdict.verdict;
}

/** By proposal, whether only commitments are missing to judge it: that does not change while they are. */
const incomplete = new WeakMap<Entry<Proposal>, boolean>();

function isIncomplete(state: ReadableState, entry: Entry<Proposal>): boolean {
  const known = incomplete.get(entry);
  if (known !== undefined) return known;
  const verdict = judge(state, entry.message.value, evidenceOf(entry));
  incomplete.set(entry, verdict.verdict === 'incomplete');
  return verdict.verdict === 'incomplete';
}

/**
 * Digests of dealings whose public halves are needed to judge proposals, those of the present round first: asked for in
 * summaries. Only of proposals that nothing else speaks against, else a liar could have anything asked for and stored.
 */
export function wantedPublics(state: ReadableState): Uint8Array[] {
  const present = state.durable.own.rounds?.round;
  const missing = new Map<string, Uint8Array>();
  const proposals = Object.values(state.durable.proposals);
  for (const entry of proposals.sort(
    (a, b) => Number(b.message.round === present) - Number(a.message.round === present),
  )) {
    const lacking = entry.message.value.accepted.filter(
      ({ digest }) => state.durable.publics[hex(digest)] === undefined,
    );
    if (lacking.length > 0 && isIncomplete(state, entry))
      for (const { digest } of lacking) missing.set(hex(digest), digest);
  }
  return [...missing.values()].slice(0, limits.dealingsMax);
}

/** Signs and publishes a vote in the present round; returns what is printed of it. */
function vote(work: Work, type: Vote['type'], value: Uint8Array | null): Record<string, string | number> {
  const { round, epoch } = openRoundsOf(work);
  const instance = instanceOf(work);
  signAndPublish(work, (by) => ({ v: 1, type, by, epoch, round, instance, value }));
  return { epoch, round, value: value === null ? 'nil' : hex(value).slice(0, 8) };
}

/** Rule `prevote` (lines 22–33, 57–60). */
export function prevote(work: Work<'prevote' | 'invalid-proposal'>): boolean {
  const rounds = roundsOf(work);
  if (rounds === null || rounds.step !== 'propose' || signingSecret(work) === null) return false;
  startTimer(work, 'propose');
  const entry = work.durable.proposals[rounds.round];
  let choice: Uint8Array | null | undefined;
  if (entry === undefined && work.volatile.refutedProposals[rounds.round] !== undefined) choice = null;
  if (entry !== undefined) {
    const hash = hashOfValue(entry.message.value);
    const { validRound } = entry.message;
    const supported = validRound === -1 || prevotersOf(work, entry, hash).size >= changeQuorum(work);
    if (supported) {
      const verdict = verdictOn(work, entry);
      const { locked } = rounds;
      const free =
        locked === null || locked.value === hex(hash) || (validRound !== -1 && locked.round <= validRound);
      if (verdict === 'valid' || verdict === 'invalid') choice = verdict === 'valid' && free ? hash : null;
    }
  }
  if (choice === undefined && timedOut(work, 'propose')) choice = null;
  if (choice === undefined) return false;
  work.rule('prevote', vote(work, 'prevote', choice));
  setRounds(work, { step: 'prevote' });
  return true;
}

/** Rule `precommit` (lines 34–46, 61–64): a quorum of prevotes for a valid value locks it. */
export function precommit(work: Work<'precommit' | 'invalid-proposal'>): boolean {
  const rounds = roundsOf(work);
  if (rounds === null || signingSecret(work) === null || rounds.step === 'propose') return false;
  const quorum = changeQuorum(work);
  const entry = work.durable.proposals[rounds.round];
  if (entry !== undefined) {
    const hash = hashOfValue(entry.message.value);
    const name = hex(hash);
    if (
      votesFor(work, 'prevote', rounds.round, name).length >= quorum &&
      verdictOn(work, entry) === 'valid'
    ) {
      const news = rounds.valid?.round !== rounds.round;
      if (rounds.step === 'prevote') {
        setRounds(work, {
          step: 'precommit',
          locked: { round: rounds.round, value: name },
          valid: { round: rounds.round, value: name },
        });
        work.rule('precommit', vote(work, 'precommit', hash));
        return true;
      }
      if (news) {
        setRounds(work, { valid: { round: rounds.round, value: name } });
        return true;
      }
    }
  }
  if (rounds.step !== 'prevote') return false;
  const enough = votesOf(work, 'prevote', rounds.round).length >= quorum;
  if (enough) startTimer(work, 'prevote');
  if (
    votesFor(work, 'prevote', rounds.round, null).length >= quorum ||
    (enough && timedOut(work, 'prevote'))
  ) {
    setRounds(work, { step: 'precommit' });
    work.rule('precommit', vote(work, 'precommit', null));
    return true;
  }
  return false;
}

function enterRound(work: Work<'enter-round'>, round: number, why: string): void {
  const rounds = openRoundsOf(work);
  setRounds(work, { round, step: 'propose' });
  work.retain('votes', (_, { message }) => !isPast(work, message.round, limits.roundsKept));
  work.retain('proposals', (key) => !isPast(work, Number(key), limits.proposalRoundsKept));
  work.volatile.refutedProposals = Object.fromEntries(
    Object.entries(work.volatile.refutedProposals).filter(
      ([key]) => !isPast(work, Number(key), limits.proposalRoundsKept),
    ),
  );
  work.volatile.timers = {};
  work.volatile.resendIntervalMs = work.timing.resendMs;
  work.rule('enter-round', { epoch: rounds.epoch, round, why });
}

/** Rule `next-round` (lines 47–48, 65–67). */
export function nextRound(work: Work<'enter-round'>): boolean {
  const rounds = roundsOf(work);
  if (rounds === null || votesOf(work, 'precommit', rounds.round).length < changeQuorum(work)) return false;
  startTimer(work, 'precommit');
  if (!timedOut(work, 'precommit') || rounds.round >= limits.roundMax) return false;
  enterRound(work, rounds.round + 1, 'undecided');
  return true;
}

/** Rule `jump-round` (lines 55–56): `faults + 1` members are in a later round. */
export function jumpRound(work: Work<'enter-round'>): boolean {
  const rounds = roundsOf(work);
  if (rounds === null) return false;
  const latest = new Map<number, number>();
  for (const { message } of [...Object.values(work.durable.votes), ...Object.values(work.durable.proposals)])
    latest.set(message.by, Math.max(latest.get(message.by) ?? 0, message.round));
  const later = [...latest.values()].filter((round) => round > rounds.round).sort((a, b) => b - a);
  const target = later[changeFaults(work)];
  if (target === undefined) return false;
  enterRound(work, target, 'others are there');
  return true;
}

/** The order of the forced eviction that is being decided: its certificate says by it who decided. */
function forcedOrder(work: Work): { forced?: Order } {
  const { forced } = work.durable.own;
  const order = forced === null ? undefined : work.durable.plans[forced.plan]?.orders[0];
  return order === undefined ? {} : { forced: order };
}

/** Rule `decide` (lines 49–54): a quorum of precommits of any round for a proposed value certifies it. */
export function decisionOf(work: Work): Link | null {
  const quorum = changeQuorum(work);
  const found = new Map<string, { round: number; hash: Hex; entries: Entry<Vote>[] }>();
  for (const entry of Object.values(work.durable.votes)) {
    const { type, round, value } = entry.message;
    if (type !== 'precommit' || value === null) continue;
    const hash = hex(value);
    const { entries } = found.get(`${round}/${hash}`) ?? { entries: [] };
    found.set(`${round}/${hash}`, { round, hash, entries: [...entries, entry] });
  }
  for (const { round, hash, entries } of found.values()) {
    if (entries.length < quorum) continue;
    const proposal = validProposalOf(work, hash);
    if (proposal === null) continue; // a re-send brings it, its commitments, or better evidence
    const { value } = proposal.entry.message;
    const votes = entries
      .map(({ message, carried }) => ({ by: message.by, signature: carried.packet.signature }))
      .sort((a, b) => a.by - b.by);
    return {
      v: 1,
      value,
      certificate: { type: 'precommits', round, ...forcedOrder(work), votes },
      commitments: proposal.commitments,
    };
  }
  return null;
}
