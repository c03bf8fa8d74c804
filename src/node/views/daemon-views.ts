/**
 * Makes the views of a member (see `view.ts`) from the core's state. No secret of the state goes into a view.
 */

import { kindNamed } from '../../keys/kinds.ts';
import { attendHeldBy } from '../../protocol/change/attend.ts';
import type { Pause } from '../../protocol/machine/durable-state.ts';
import {
  attendedPlans,
  attendsOf,
  bestPlan,
  changeQuorum,
  electors,
  headLink,
  headOf,
  holdsShare,
  retiredHead,
  selfIn,
  valueFaults,
  valueQuorum,
} from '../../protocol/machine/queries.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import type { RetireProof } from '../../protocol/records/change-messages.ts';
import { fromHex, hex, sameBytes } from '../../protocol/records/codec.ts';
import { limits } from '../../protocol/records/limits.ts';
import { hashOfOrder } from '../../protocol/records/order.ts';
import { explainChoice, type Member, memberAt } from '../../protocol/records/roster.ts';
import { hashOfValue, operatorDealer, type Value } from '../../protocol/records/value.ts';
import type { EpochRecords } from '../store/archive.ts';
import { readyIn } from './ability.ts';
import { blameViews } from './blame-views.ts';
import { leftoversIn } from './leftovers.ts';
import { assess, type Clocks } from './problems.ts';
import type {
  ChangeView,
  CreationView,
  EpochView,
  KeyView,
  PauseView,
  PlanView,
  StatusView,
} from './view.ts';

const names = (members: readonly Member[]): string[] => members.map(({ name }) => name);

/** The change that is undecided or not finished. Null when there is none. */
export function changeView(state: CoreState, { nowMs, wallMs }: Clocks): ChangeView | null {
  const head = headOf(state);
  if (selfIn(state) === undefined) return null;
  const since = (atMs: number | null): number => Math.round(wallMs - (nowMs - (atMs ?? nowMs)));
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
      sinceMs: since(state.volatile.lastChangeAtMs),
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
    sinceMs: since(state.volatile.gatheringSinceMs),
  };
}

interface StatusExtras extends Clocks {
  name: string;
  cipher: string;
  fingerprint: string | null;
  reachable: ReadonlySet<string>;
  /** The peer ids of members on two machines. */
  doubled?: ReadonlySet<string>;
}

/** The status of a member. */
export function statusView(state: CoreState, extras: StatusExtras): StatusView {
  const head = headOf(state);
  const self = selfIn(state);
  const change = changeView(state, extras);
  const { roster, prospects, problems, warnings } = assess(state, change, extras.reachable, extras);
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
    leftovers: leftoversIn(state),
    holders: head.epoch === 0 ? [] : roster.flatMap(({ name, share }) => (share === 'held' ? [name] : [])),
    connected: names(head.roster.filter(({ peer }) => extras.reachable.has(peer))),
    ...{ roster, prospects },
    lastChangeAtMs: state.durable.notes[head.epoch]?.decidedAtMs ?? null,
    nextRefreshAtMs:
      change !== null || atMs === null ? null : Math.round(extras.wallMs + (atMs - extras.nowMs)),
    change,
    pauses: pauseViews(state, head.roster, extras.wallMs, (pause) => pause.epoch > head.epoch),
    ...{ problems, warnings },
  };
}

/** The views of retire proofs. A proof never changes. */
const proofViews = new WeakMap<RetireProof, NonNullable<EpochView['retireProof']>>();

function proofView(proof: RetireProof | null, value: Value): EpochView['retireProof'] {
  if (proof === null) return null;
  const known = proofViews.get(proof);
  if (known !== undefined) return known;
  const ready = readyIn(proof);
  const view = {
    ready: names(value.roster.filter(({ index }) => ready.has(index))),
    trials: value.keys.slice(0, proof.proofs.length).map(({ name }) => name),
  };
  proofViews.set(proof, view);
  return view;
}

/**
 * The holds and waits (§5) that `which` selects, oldest first. `roster` has the members that made the change.
 */
function pauseViews(
  state: CoreState,
  roster: readonly Member[],
  wallMs: number,
  which: (pause: Pause) => boolean,
): PauseView[] {
  return Object.values(state.durable.pauses)
    .filter(which)
    .sort((a, b) => a.fromMs - b.fromMs || a.index - b.index)
    .map(({ kind, epoch, index, fromMs, untilMs }) => ({
      kind,
      epoch,
      member: memberAt(roster, index)?.name ?? `member ${index}`,
      ms: Math.max(0, Math.round(Math.min(wallMs, untilMs)) - fromMs),
      lasts: wallMs < untilMs,
    }));
}

/** The records of an epoch that the core still holds. The archive has the same records of all epochs. */
export function heldRecords(state: CoreState, epoch: number): EpochRecords | null {
  const { links, notes, retires } = state.durable;
  const link = links[epoch];
  if (link === undefined) return null;
  return {
    link,
    parent: links[epoch - 1] ?? null,
    note: notes[epoch] ?? null,
    proof: retires[epoch] ?? null,
  };
}

/**
 * One epoch of the history, without its verification keys. `decidedAtMs`, `blamed`, `pauses` and
 * `retireProof` are this peer's own knowledge. Everything else follows from the certified chain.
 */
export function epochView(
  state: CoreState,
  { link, note, proof, ...records }: EpochRecords,
  wallMs: number,
): EpochView {
  const { value, certificate } = link;
  const { epoch } = value;
  const parent = records.parent?.value;
  const roster = parent?.roster ?? value.roster;
  const nameOf = (index: number) =>
    memberAt(parent?.roster ?? value.roster, index)?.name ??
    memberAt(value.roster, index)?.name ??
    `member ${index}`;
  const dealers = new Set(value.accepted.map(({ dealer }) => dealer));
  // A member that attended has a new epoch key (§4).
  const attended = new Set(
    (parent?.roster ?? [])
      .filter((before) => {
        const after = memberAt(value.roster, before.index);
        return after?.peer === before.peer && after.keyEpoch === epoch;
      })
      .map(({ index }) => index),
  );
  return {
    epoch,
    value: hex(hashOfValue(value)),
    members: names(value.roster),
    threshold: value.threshold,
    keys: value.keys.map(({ name }) => name),
    dealt: [...dealers].map((dealer) => (dealer === operatorDealer ? 'operator' : nameOf(dealer))),
    didNotDeal: [...attended].filter((index) => !dealers.has(index)).map(nameOf),
    missing: (parent?.roster ?? [])
      .filter(({ index, peer }) => !attended.has(index) && memberAt(value.roster, index)?.peer === peer)
      .map(({ name }) => name),
    contradicted: (note?.contradicted ?? []).map(nameOf),
    blamed: blameViews(state, epoch, parent ?? value),
    pauses: pauseViews(state, roster, wallMs, (pause) => pause.epoch === epoch),
    round: certificate.type === 'precommits' ? certificate.round : null,
    decidedAtMs: note?.decidedAtMs ?? null,
    retired: state.durable.own.retired >= epoch,
    retireProof: proofView(proof, value),
    verificationKeys: [],
  };
}

/** The epochs that the core still holds, newest first. */
export function newestEpochViews(state: CoreState, wallMs: number): EpochView[] {
  const { head } = state.durable.own;
  return Array.from({ length: limits.linksKept }, (_, back) => heldRecords(state, head - back)).flatMap(
    (records) => (records === null ? [] : [epochView(state, records, wallMs)]),
  );
}

export const keyViews = (state: CoreState): KeyView[] =>
  headOf(state).keys.map((key) => ({
    name: key.name,
    id: hex(key.id),
    kind: key.kind,
    use: key.use,
    public: hex(key.public),
    ...kindNamed(key.kind).publicForms(key.public),
  }));

/** The attended plan that contains the order. Of several plans, it is the one with the most Attends. */
export function creationView(state: CoreState, orderHash: Uint8Array): CreationView {
  const head = headLink(state);
  const [best] = Object.entries(state.durable.plans)
    .filter(([, { orders }]) => orders.some((order) => sameBytes(hashOfOrder(order), orderHash)))
    .map(([plan, { orders }]) => ({
      plan: fromHex(plan),
      orders,
      attends: attendsOf(state, plan).map(({ carried }) => carried.packet),
    }))
    .sort((a, b) => b.attends.length - a.attends.length || b.orders.length - a.orders.length);
  return best === undefined ? { head, plan: null, attends: [], orders: [] } : { head, ...best };
}

export const planViews = (state: CoreState): PlanView[] =>
  Object.entries(state.durable.plans).map(([plan, { orders }]) => ({
    plan,
    orders: orders.length,
    attending: attendsOf(state, plan).map(({ message }) => message.by),
  }));
