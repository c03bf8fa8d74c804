/**
 * §4.3 which dealings to accept: as many as possible that enough members hold whole. Two ways to find them,
 * and the better result counts; both are deterministic.
 *
 * - By members (`agreeing`): two members agree when each lists the other's dealing. Left out is a smallest
 *   set of members
 *   without which all agree. While at most `faults` lie or are silent, this finds a set whatever they do
 * (§9).
 * - By gaps (`withFewestGaps`): whoever has the most gaps, dealing or holder, is left out. This finds more
 *   while honest
 *   messages are still under way; liars can lead it astray.
 */

import {
  attendsOf,
  changeFaults,
  changeQuorum,
  contradicting,
  draftOfPlan,
  electors,
  havesOf,
  headOf,
  type ReadableState,
} from '../machine/queries.ts';
import type { HeldEvidence } from '../machine/volatile-state.ts';
import { fromHex, type Hex, hex } from '../records/codec.ts';
import { present } from '../records/present.ts';
import { memberAt } from '../records/roster.ts';
import { operatorDealer } from '../records/value.ts';
import { partsVerdict } from './created-parts.ts';
import { quickCover, smallestCover } from './smallest-cover.ts';
import { decodePublic, holdersNeededFor, isPublicOf, sortAccepted } from './validity.ts';

export interface HeldDealing {
  /** 0: the operator's, of a key that is created; it must be accepted. */
  readonly dealer: number;
  readonly digest: Hex;
}

export interface Holder {
  readonly by: number;
  readonly listed: ReadonlySet<Hex>;
}

export interface Choice {
  /** One a dealer, or one a created key. */
  readonly dealings: readonly HeldDealing[];
  readonly holders: readonly Holder[];
  readonly needed: { readonly dealings: number; readonly holders: number };
  readonly faults: number;
}

/** Dealings, and all holders that list every one of them. */
export interface HeldSet {
  readonly dealings: readonly HeldDealing[];
  readonly holders: readonly Holder[];
}

const holdsAll = ({ listed }: Holder, dealings: readonly HeldDealing[]): boolean =>
  dealings.every(({ digest }) => listed.has(digest));
const dealersOf = (dealings: readonly HeldDealing[]): number =>
  dealings.filter(({ dealer }) => dealer !== operatorDealer).length;

/** The most dealings that enough holders list, as far as either way finds them; null when neither finds enough. */
export function largestHeldSet(choice: Choice): HeldSet | null {
  const required = choice.dealings.filter(({ dealer }) => dealer === operatorDealer);
  const able = { ...choice, holders: choice.holders.filter((holder) => holdsAll(holder, required)) };
  const found = [agreeing(able), withFewestGaps(able)].flatMap((one) => extended(able, one) ?? []);
  return found.reduce<HeldSet | null>(
    (best, one) => (best === null || one.dealings.length > best.dealings.length ? one : best),
    null,
  );
}

/** Members that list each other's dealings: all but a smallest set, if that has no more than `faults`. */
function agreeing({ dealings, holders, faults }: Choice): HeldSet | null {
  const members = holders.flatMap((holder) => {
    const own = dealings.find(({ dealer }) => dealer === holder.by);
    return own !== undefined && holder.listed.has(own.digest) ? [{ holder, own }] : [];
  });
  const edges = members.map((one) =>
    members.flatMap((other, at) =>
      one.holder.listed.has(other.own.digest) && other.holder.listed.has(one.own.digest) ? [] : [at],
    ),
  );
  const left = smallestCover(edges, faults);
  if (left === null) return null;
  const kept = members.filter((_, at) => !left.includes(at));
  return { dealings: kept.map(({ own }) => own), holders: kept.map(({ holder }) => holder) };
}

/** Leaves out the holder or the dealing with the most gaps, where there is one to spare, until there is no gap. */
function withFewestGaps({ dealings, holders, needed }: Choice): HeldSet | null {
  const spare = {
    holders: holders.length - needed.holders,
    dealings: dealersOf(dealings) - needed.dealings,
  };
  if (spare.holders < 0 || spare.dealings < 0) return null;
  const dealingAt = (vertex: number) =>
    present(dealings[vertex - holders.length], 'a dealing of each vertex');
  const isHolder = (vertex: number) => vertex < holders.length;
  const gap = ({ listed }: Holder, { digest }: HeldDealing): boolean => !listed.has(digest);
  const edges = [
    ...holders.map((holder) =>
      dealings.flatMap((dealing, at) => (gap(holder, dealing) ? [holders.length + at] : [])),
    ),
    ...dealings.map((dealing) => holders.flatMap((holder, at) => (gap(holder, dealing) ? [at] : []))),
  ];
  const left = quickCover(edges, (vertex, taken) => {
    const gone = taken.filter(isHolder).length;
    return isHolder(vertex)
      ? gone < spare.holders
      : dealingAt(vertex).dealer !== operatorDealer && taken.length - gone < spare.dealings;
  });
  return (
    left && {
      holders: holders.filter((_, at) => !left.includes(at)),
      dealings: dealings.filter((_, at) => !left.includes(holders.length + at)),
    }
  );
}

/**
 * Adds what costs nothing: dealings that all these holders list, and holders of all dealings; first the
 * holders when these are too few, as those are that did not deal themselves (gate, no share). Null when
 * dealings or holders are too few.
 */
function extended({ dealings, holders, needed }: Choice, found: HeldSet | null): HeldSet | null {
  if (found === null) return null;
  const holdersOf = (held: readonly HeldDealing[]) => holders.filter((holder) => holdsAll(holder, held));
  const first = found.holders.length < needed.holders ? holdersOf(found.dealings) : found.holders;
  const all = dealings.filter(({ digest }) => first.every(({ listed }) => listed.has(digest)));
  const whole = { dealings: all, holders: holdersOf(all) };
  return first.length >= needed.holders && dealersOf(all) >= needed.dealings ? whole : null;
}

/**
 * The largest set of dealings, one per dealer, that enough members of both rosters hold whole, with what shows it; of a
 * dealer with two dealings the one with more holders is considered.
 */
export function acceptable(state: ReadableState, plan: Hex): HeldEvidence | null {
  const draft = draftOfPlan(state, plan);
  const orders = state.durable.plans[plan]?.orders;
  if (draft === null || orders === undefined) return null;
  const head = headOf(state);
  const left = contradicting(state);
  const attends = attendsOf(state, plan).filter(({ message }) => !left.has(message.by));
  if (attends.length < changeQuorum(state)) return null;
  const attending = new Set(attends.map(({ message }) => message.by));
  const haves = havesOf(state, plan)
    .filter(
      ({ message }) => memberAt(draft.roster, message.by)?.peer === memberAt(head.roster, message.by)?.peer,
    )
    .map(({ message, carried }) => ({
      by: message.by,
      listed: new Set(message.digests.map(hex)),
      packet: carried.packet,
    }));

  const holders = new Map<Hex, number>();
  for (const { listed } of haves)
    for (const digest of listed) holders.set(digest, (holders.get(digest) ?? 0) + 1);
  const candidates: Array<HeldDealing & { held: number; key: Hex }> = [];
  for (const [digest, held] of holders) {
    const half = state.durable.publics[digest];
    if (half === undefined) continue;
    const decoded = decodePublic(half.bytes);
    // What a liar listed may be a half for anything; one of a key that is not created would be required, and
    // held by nobody.
    if (!isPublicOf(head.epoch + 1, fromHex(plan), draft, decoded)) continue;
    const { dealer, parts } = decoded;
    if (partsVerdict(state, draft, dealer, digest) !== 'true') continue;
    if (dealer !== operatorDealer && !attending.has(dealer)) continue;
    const key = dealer === operatorDealer ? hex(parts[0]?.key ?? new Uint8Array()) : String(dealer);
    candidates.push({ dealer, digest, held, key });
  }
  candidates.sort((a, b) => b.held - a.held || (a.digest < b.digest ? -1 : 1));
  const single = candidates.filter(
    (one, at) => candidates.findIndex((other) => other.key === one.key) === at,
  );
  if (!draft.created.every(({ key }) => single.some((one) => one.key === hex(key.id)))) return null;

  const found = largestHeldSet({
    dealings: single,
    holders: haves,
    needed: { dealings: Math.max(draft.threshold, head.threshold), holders: holdersNeededFor(state, draft) },
    faults: changeFaults(state),
  });
  if (found === null) return null;
  const whole = haves.filter((have) => found.holders.includes(have));
  return {
    accepted: sortAccepted(found.dealings.map(({ dealer, digest }) => ({ dealer, digest: fromHex(digest) }))),
    evidence: {
      attends: attends.map(({ carried }) => carried.packet),
      haves: whole.map(({ packet }) => packet),
      orders,
      prevotes: [],
    },
    complete:
      attends.length === electors(state).length &&
      dealersOf(found.dealings) === attends.length &&
      whole.length === haves.length &&
      haves.length === attends.length,
  };
}
