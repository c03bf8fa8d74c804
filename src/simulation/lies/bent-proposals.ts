/** Bent proposals: other dealings, no evidence, or a value that follows from nothing. */
import { sumsInPlace } from '../../protocol/change/next-keys.ts';
import { assembleValue, decodePublic, sortAccepted } from '../../protocol/change/validity.ts';
import { attendsOf, draftOfPlan, headOf } from '../../protocol/machine/queries.ts';
import type {
  Attend,
  DealingPublic,
  Evidence,
  Frame,
  Proposal,
} from '../../protocol/records/change-messages.ts';
import { encode, fromHex, hex, sameBytes } from '../../protocol/records/codec.ts';
import { leaderOf } from '../../protocol/records/roster.ts';
import { type Accepted, operatorDealer } from '../../protocol/records/value.ts';
import type { Liar, Lie } from './liar.ts';

/**
 * The same proposal with other accepted dealings. Everything else in the value follows from its evidence.
 * Null when the liar lacks a public half.
 */
export function withAccepted(
  liar: Liar,
  { value, ...proposal }: Proposal,
  accepted: Accepted[],
  shown?: Attend[],
): Proposal | null {
  const { state } = liar;
  const draft = state && draftOfPlan(state, hex(value.plan));
  if (!draft) return null;
  const halves = accepted.map(({ digest }) => state.durable.publics[hex(digest)]);
  if (halves.some((half) => half === undefined)) return null;
  const known = attendsOf(state, hex(value.plan))
    .map(({ message }) => message)
    .filter((attend) => value.roster.some(({ epochKey }) => sameBytes(epochKey, attend.epochKey)));
  const sums = sumsInPlace(
    state,
    draft,
    halves.map((half) => decodePublic((half as { bytes: Uint8Array }).bytes)),
  );
  if (sums === null) return null;
  const other = assembleValue(state, value.plan, draft, shown ?? known, accepted, sums, value.suspended);
  return { ...proposal, value: other.value };
}

/**
 * A lie that replaces the accepted dealings of the liar's own proposals, for all members or for half of them.
 */
export const proposing =
  (choose: (liar: Liar, proposal: Proposal) => Accepted[], toAll: boolean): NonNullable<Lie['message']> =>
  (liar, to, message, carried) => {
    if (message.type !== 'proposal' || carried.evidence === undefined) return null;
    if (!toAll && !liar.tells(to)) return null;
    const other = withAccepted(liar, message, choose(liar, message));
    return other === null ? null : liar.forge(other, { evidence: carried.evidence });
  };

/** All dealings for the plan of its proposal that the liar knows, no matter who holds them. */
export function everyDealing(liar: Liar, { value }: Proposal): Accepted[] {
  const chosen = new Map<number, Accepted>(value.accepted.map((each) => [each.dealer, each]));
  for (const [digest, { bytes }] of Object.entries(liar.state?.durable.publics ?? {})) {
    const half = decodePublic(bytes);
    if (sameBytes(half.plan, value.plan) && !chosen.has(half.dealer))
      chosen.set(half.dealer, { dealer: half.dealer, digest: fromHex(digest) });
  }
  return sortAccepted([...chosen.values()]);
}

/**
 * The public half of a dealing that creates no key. As a required dealing that few members hold it would stop
 * every leader.
 */
export const dealingOfNothing = (epoch: number, plan: Uint8Array): Uint8Array =>
  encode({ v: 1, epoch, plan, dealer: operatorDealer, parts: [] } satisfies DealingPublic);

/**
 * Proposals of a value that accepts dealings that do not exist. There is one for every round that the liar
 * leads soon.
 */
export function proposalsOfAnything(liar: Liar): Frame[] {
  const { state } = liar;
  const known = Object.values(state?.durable.proposals ?? {})[0]?.message;
  if (!state || known === undefined) return [];
  const now = state.durable.own.rounds?.round ?? 0;
  const rounds = Array.from({ length: 24 }, (_, ahead) => now + ahead).filter(
    (round) => leaderOf(headOf(state).roster, headOf(state).epoch, round).index === liar.peer.index,
  );
  const accepted = () =>
    sortAccepted(Array.from({ length: 90 }, (_, at) => ({ dealer: at % 60, digest: liar.randomBytes(32) })));
  return rounds.flatMap((round) =>
    liar.forge(
      {
        ...known,
        by: liar.peer.index,
        round,
        validRound: -1,
        value: { ...known.value, accepted: accepted() },
      },
      { evidence: noEvidence },
    ),
  );
}

export const noEvidence: Evidence = { attends: [], haves: [], orders: [], prevotes: [] };
