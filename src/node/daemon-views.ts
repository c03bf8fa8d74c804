/** What a daemon shows (see `view.ts`), computed from the core's state and nothing secret in it. */

import { hashHex } from '../crypto/hash.ts';
import { bitLength } from '../crypto/integers.ts';
import { verificationKey } from '../crypto/rsa-sharing.ts';
import { attendHeldBy } from '../protocol/attend.ts';
import { hex, numberOf, sameBytes } from '../protocol/codec.ts';
import { limits } from '../protocol/limits.ts';
import {
  attendedPlans,
  attendsOf,
  bestPlan,
  changeQuorum,
  electors,
  headOf,
  holdsShare,
  isSuspended,
  retiredHead,
  selfIn,
  valueFaults,
  valueQuorum,
} from '../protocol/queries.ts';
import { explainChoice, type Member, memberAt } from '../protocol/roster.ts';
import type { CoreState } from '../protocol/state.ts';
import { hashOfValue, publicOf } from '../protocol/value.ts';
import { destroyedKeysHeld } from './destroyed-keys.ts';
import type { ChangeView, EpochView, KeyView, Problem, StatusView } from './view.ts';

const names = (members: readonly Member[]): string[] => members.map(({ name }) => name);

/** The undecided or unfinished change, or null when nothing is under way. */
export function changeView(state: CoreState, sinceMs: number): ChangeView | null {
  const head = headOf(state);
  if (selfIn(state) === undefined) return null;
  const quorum = valueQuorum(state, head);
  if (!retiredHead(state) && state.durable.own.forced === null) {
    const ready = new Set(Object.keys(state.durable.readys).map(Number));
    return {
      epoch: head.epoch,
      phase: holdsShare(state) ? 'retiring' : 'applying',
      round: null,
      attending: names(head.roster.filter(({ index }) => ready.has(index))),
      missing: names(head.roster.filter(({ index }) => !ready.has(index))),
      needed: quorum,
      sinceMs,
    };
  }
  const deciding = electors(state);
  const plan = attendedPlans(state)[0] ?? hex(bestPlan(state).plan);
  const attends = new Set(attendsOf(state, plan).map(({ message }) => message.by));
  if (attends.size === 0) return null;
  const { rounds } = state.durable.own;
  const window = state.volatile.windowEndsAtMs;
  const dealing =
    rounds?.round === 0 && rounds.step === 'propose' && window !== null && state.volatile.nowMs < window;
  return {
    epoch: head.epoch + 1,
    phase: rounds === null ? 'gathering' : dealing ? 'dealing' : 'agreeing',
    round: rounds?.round ?? null,
    attending: names(deciding.filter(({ index }) => attends.has(index))),
    missing: names(deciding.filter(({ index }) => !attends.has(index))),
    needed: changeQuorum(state),
    sinceMs,
  };
}

/** What is wrong, and what a person can do about it. `reachable`: peer ids with a proven connection. */
export function problemsOf(
  state: CoreState,
  change: ChangeView | null,
  reachable: ReadonlySet<string>,
): Problem[] {
  const head = headOf(state);
  const problems: Problem[] = [];
  const self = selfIn(state);
  if (self === undefined) {
    problems.push({
      code: 'evicted',
      what: 'This peer was evicted and has erased its shares.',
      remedy: 'Stop it, or let the operator admit it again.',
    });
    return problems;
  }
  problems.push(...clockProblems(state));
  if (isSuspended(state, self.index))
    problems.push({
      code: 'suspended',
      what: 'This peer signed two different Attends for one plan and is suspended: its key may be in other hands.',
      remedy: 'Let the operator evict it, and admit it again with a new home.',
    });
  const away = head.roster.filter(({ peer }) => peer !== state.peer && !reachable.has(peer));
  const here = head.roster.length - away.length;
  if (!holdsShare(state))
    problems.push({
      code: 'no-share',
      what: `This peer holds no share of epoch ${head.epoch} and counts as absent.`,
      remedy: 'Nothing: it asks the others for its share as long as they can be reached.',
    });
  if (head.keys.length > 0 && here < head.threshold)
    problems.push({
      code: 'cannot-sign',
      what: `Only ${here} of the ${head.threshold} peers that a signature needs can be reached; missing: ${names(away).join(', ')}.`,
      remedy: 'Start the missing peers, or mend the network between them.',
    });
  if (change !== null && change.attending.length < change.needed) {
    const all =
      change.needed === head.roster.length
        ? `all ${head.roster.length}`
        : `${change.needed} of ${head.roster.length}`;
    const verb = change.phase === 'gathering' ? 'attend' : 'be ready';
    problems.push({
      code: 'refresh-waits',
      what: `The change to epoch ${change.epoch} waits: it needs ${all} members to ${verb}; missing: ${change.missing.join(', ')}.`,
      remedy: 'Start the missing peers; it goes on by itself. Signing is not affected.',
    });
  } else if (change === null && here < valueQuorum(state, head)) {
    const needed = valueQuorum(state, head);
    const all =
      needed === head.roster.length ? `all ${head.roster.length}` : `${needed} of ${head.roster.length}`;
    problems.push({
      code: 'refresh-will-wait',
      what: `The next refresh will wait: it needs ${all} members, and ${names(away).join(', ')} cannot be reached.`,
      remedy: 'Start the missing peers.',
    });
  }
  if (state.volatile.recall !== null)
    problems.push({
      code: 'recalling',
      what: `After its start this peer takes part in epoch changes once ${valueQuorum(state, head) - 1} others have told it what it had said before.`,
      remedy: 'Nothing, while the others can be reached.',
    });
  if (state.durable.epochSecrets[hex(self.epochKey)] === undefined)
    problems.push({
      code: 'no-epoch-key',
      what: 'This peer does not hold the secret of its listed epoch key: its store went back to before its last Attend.',
      remedy:
        'Let the operator evict it, and admit it again with a new home. Never restore a store from a backup.',
    });
  if (state.durable.own.muted !== null)
    problems.push({
      code: 'store-went-back',
      what: 'This peer’s store is older than what the peer has signed; it stays silent until the next epoch.',
      remedy: 'Never restore a store from a backup. It takes part again after the next epoch change.',
    });
  for (const { name, epoch, members } of destroyedKeysHeld(state))
    problems.push({
      code: 'destroyed-key-held',
      what: `Key ${name} was destroyed in epoch ${epoch}, and ${members.join(', ')} may still hold a share of it.`,
      remedy: 'Start them: they erase it when they are back. Below the threshold such shares are worthless.',
    });
  for (const blame of Object.values(state.durable.blames).filter(({ epoch }) => epoch > head.epoch - 3)) {
    const name = memberAt(head.roster, blame.by)?.name ?? `member ${blame.by}`;
    problems.push({
      code: blame.kind,
      what: `${name} did wrong in epoch ${blame.epoch}: ${blame.kind.replaceAll('-', ' ')}.`,
      remedy: `Look at ${name}'s machine; evict it if it was broken into.`,
    });
  }
  return problems;
}

/** Expiry of requests needs clocks within 60 s of each other (§8): names the clock that is wrong, ours or a peer's. */
function clockProblems(state: CoreState): Problem[] {
  const wrong = Object.entries(state.volatile.clockAheadMs).filter(
    ([, ahead]) => Math.abs(ahead) > limits.clockSkewMs,
  );
  const known = Object.keys(state.volatile.clockAheadMs).length;
  if (wrong.length === 0) return [];
  const remedy = 'Set the clock (NTP). Until then requests to use a key may be refused as expired.';
  const minutes = (ms: number) => `${Math.max(1, Math.round(Math.abs(ms) / 60_000))} min`;
  if (known > 1 && wrong.length === known) {
    const ahead = wrong.map(([, ms]) => ms).sort((a, b) => a - b)[Math.floor(wrong.length / 2)] as number;
    return [
      {
        code: 'own-clock',
        what: `This peer's clock is ${minutes(ahead)} ${ahead > 0 ? 'behind' : 'ahead of'} all others.`,
        remedy,
      },
    ];
  }
  return wrong.map(([peer, ahead]) => {
    const name = headOf(state).roster.find((member) => member.peer === peer)?.name ?? peer;
    return {
      code: 'peer-clock',
      what: `The clocks of this peer and ${name} differ by ${minutes(ahead)}.`,
      remedy,
    };
  });
}

export interface StatusExtras {
  name: string;
  cipher: string;
  fingerprint: string | null;
  reachable: ReadonlySet<string>;
  changeSinceMs: number;
  /** The daemon's monotonic clock and the wall clock, to show timers as times of day. */
  nowMs: number;
  wallMs: number;
}

export function statusView(state: CoreState, extras: StatusExtras): StatusView {
  const head = headOf(state);
  const self = selfIn(state);
  const change = changeView(state, extras.changeSinceMs);
  const { refreshAtMs, refreshWanted } = state.volatile;
  const held = attendHeldBy(state);
  const atMs =
    refreshWanted && held === 'too-young'
      ? (state.volatile.lastChangeAtMs ?? 0) + state.timing.minimumIntervalMs
      : refreshAtMs;
  return {
    name: extras.name,
    peer: state.peer,
    cluster: hex(state.clusterId),
    clusterName: state.genesis.name,
    state: self === undefined ? 'evicted' : 'member',
    index: self?.index ?? null,
    fingerprint: extras.fingerprint,
    cipher: extras.cipher,
    gate: state.gate,
    epoch: head.epoch,
    threshold: head.threshold,
    members: head.roster.length,
    faults: valueFaults(state, head),
    quorum: valueQuorum(state, head),
    faultModel: state.genesis.faultModel,
    choice: explainChoice(head.roster.length, head.threshold, state.genesis.faultModel),
    keys: head.keys.length,
    shareEpochs: Object.keys(state.durable.shares)
      .map(Number)
      .filter((epoch) => holdsShare(state, epoch))
      .sort((a, b) => a - b),
    connected: names(head.roster.filter(({ peer }) => extras.reachable.has(peer))),
    lastChangeAtMs: state.durable.notes[head.epoch]?.decidedAtMs ?? null,
    nextRefreshAtMs:
      change !== null || atMs === null ? null : Math.round(extras.wallMs + (atMs - extras.nowMs)),
    change,
    problems: problemsOf(state, change, extras.reachable),
  };
}

/** One epoch of the history; everything but `decidedAtMs` and `blamed` follows from the certified chain. */
export function epochView(state: CoreState, epoch: number): EpochView | null {
  const link = state.durable.links[epoch];
  if (link === undefined) return null;
  const { value, certificate, commitments } = link;
  const parent = state.durable.links[epoch - 1]?.value;
  const nameOf = (index: number) =>
    memberAt(parent?.roster ?? value.roster, index)?.name ??
    memberAt(value.roster, index)?.name ??
    `member ${index}`;
  const dealers = new Set(value.accepted.map(({ dealer }) => dealer));
  // Who attended has a new epoch key (§4).
  const attended = new Set(
    (parent?.roster ?? [])
      .filter((before) => {
        const after = memberAt(value.roster, before.index);
        return after !== undefined && !sameBytes(after.epochKey, before.epochKey);
      })
      .map(({ index }) => index),
  );
  const note = state.durable.notes[epoch];
  return {
    epoch,
    value: hex(hashOfValue(value)),
    members: names(value.roster),
    threshold: value.threshold,
    keys: value.keys.map(({ name }) => name),
    dealt: [...dealers].map((dealer) => (dealer === 0 ? 'operator' : nameOf(dealer))),
    didNotDeal: [...attended].filter((index) => !dealers.has(index)).map(nameOf),
    missing: (parent?.roster ?? [])
      .filter(({ index }) => !attended.has(index) && memberAt(value.roster, index) !== undefined)
      .map(({ name }) => name),
    contradicted: (note?.contradicted ?? []).map(nameOf),
    blamed: Object.values(state.durable.blames)
      .filter((blame) => blame.epoch === epoch)
      .map(({ by, kind }) => ({ member: nameOf(by), kind })),
    round: certificate.type === 'precommits' ? certificate.round : null,
    decidedAtMs: note?.decidedAtMs ?? null,
    retired: state.durable.own.retired >= epoch,
    verificationKeys: value.keys.flatMap((key, at) => {
      const shared = publicOf(key);
      const list = (commitments[at] as Uint8Array[]).map(numberOf);
      return value.roster.map((member) => ({
        key: key.name,
        member: member.name,
        hash: hashHex(new TextEncoder().encode(verificationKey(shared, list, member.index).toString(16))),
      }));
    }),
  };
}

export const keyViews = (state: CoreState): KeyView[] =>
  headOf(state).keys.map((key) => ({
    name: key.name,
    id: hex(key.id),
    use: key.use,
    bits: bitLength(numberOf(key.modulus)),
    modulus: hex(key.modulus),
    exponent: hex(key.exponent),
  }));
