/**
 * Whether a change takes the last member to spare, for signing or for the next change. Then the command asks
 * before it orders the change.
 */
import type { ApiClient } from '../client/api-client.ts';
import type { Home } from '../node/home/home.ts';
import { abilitiesAtBest } from '../node/views/ability.ts';
import { outlookOf, prospectsAfter, prospectsIn, type Scene } from '../node/views/possible-orders.ts';
import { prospectsOf } from '../node/views/prospects.ts';
import type { Ability, Prospects } from '../node/views/view.ts';
import type { Genesis } from '../protocol/records/genesis.ts';
import type { Action } from '../protocol/records/order.ts';
import type { Value } from '../protocol/records/value.ts';
import { CommandError, confirm, warn } from './terminal.ts';

/** What a change leaves to spare. */
interface Spare {
  /** One sentence for each of signing and refreshing that has no member to spare afterwards. */
  sentences: string[];
  /** Whether the change itself takes the last spare member, or makes a shortage worse. */
  taken: boolean;
}

/**
 * What these actions leave to spare after `head`. `members` are the members as they are now. The change is
 * judged by them, and also as if all members were up: that is the best that a choice of `n` and `k` can give.
 */
export function spareAfter(
  { genesis, cluster }: Pick<Home, 'genesis' | 'cluster'>,
  head: Value,
  members: readonly Ability[],
  actions: readonly Action[],
): Spare {
  if (!actions.some(({ type }) => changesGroup.has(type))) return { sentences: [], taken: false };
  const outcomes = [members, abilitiesAtBest(genesis, head)].map((each) => {
    const scene: Scene = { genesis, clusterId: cluster, head, members: each, forced: null };
    const { draft } = outlookOf(scene, actions);
    return draft === null ? null : { before: prospectsIn(scene), after: prospectsAfter(scene, draft), draft };
  });
  const [now] = outcomes;
  if (now == null) return { sentences: [], taken: false }; // the group refuses these actions, and says why
  const lacking = goals.filter((goal) => now.after[goal].spare <= 0);
  return {
    sentences: lacking.map((goal) => inWords(goal, now.after, now.draft.roster.length)),
    taken: outcomes.some((one) =>
      goals.some(
        (goal) =>
          one !== null && one.after[goal].spare <= 0 && one.after[goal].spare < one.before[goal].spare,
      ),
    ),
  };
}

const changesGroup: ReadonlySet<Action['type']> = new Set([
  'admit',
  'evict',
  'force-evict',
  'reinstate',
  'raise-threshold',
]);

const goals = ['sign', 'refresh'] as const satisfies ReadonlyArray<keyof Prospects>;
type Goal = (typeof goals)[number];

/** What a founding roster of `n` members leaves to spare when all are up. */
export function spareOfFounding(n: number, { threshold, faultModel }: Genesis): Spare {
  const able = { sign: 'yes', attend: 'yes', deal: 'yes', help: 'yes' } as const;
  const members = Array.from(
    { length: n },
    (_, at): Ability => ({
      ...{
        index: at + 1,
        name: `p${at + 1}`,
        self: false,
        connection: 'proven',
        share: 'held',
        ready: false,
      },
      ...{ barred: null, can: able },
    }),
  );
  const prospects = prospectsOf(members, { threshold, faultModel, keys: 0 });
  const lacking = goals.filter((goal) => prospects[goal].spare <= 0);
  return { sentences: lacking.map((goal) => inWords(goal, prospects, n)), taken: lacking.length > 0 };
}

/**
 * The smallest number of members with which signing and refreshing can each do without one. Null when the
 * cluster takes fewer.
 */
export function membersToSpareOne(genesis: Genesis): number | null {
  for (let n = genesis.threshold; n <= genesis.membersMax; n += 1)
    if (!spareOfFounding(n, genesis).taken) return n;
  return null;
}

function inWords(goal: Goal, prospects: Prospects, n: number): string {
  const { able, needed, spare } = prospects[goal];
  const enough = spare === 0;
  return goal === 'sign'
    ? `signing will need ${needed} of ${n} members, and ${able} can sign: ${enough ? 'with one less nobody can use a key' : 'nobody can use a key'}`
    : `a refresh will need ${needed} of ${n} members, and ${able} can attend: ${enough ? 'with one less it waits' : 'it waits'}`;
}

/**
 * Says what the change leaves without a spare member, and asks when the change itself takes it. `yes` is the
 * answer of a script, and `instead` says how a script gives it.
 * @throws CommandError `refused` when the person says no, `usage` when nobody can answer
 */
export async function confirmSpare(
  { sentences, taken }: Spare,
  yes: boolean,
  instead: string,
): Promise<void> {
  if (sentences.length === 0) return;
  warn(`no member to spare after this: ${sentences.join('; ')}`);
  if (!taken || yes) return;
  if (!(await confirm('go on with none to spare?', instead)))
    throw new CommandError('refused', 'nothing is changed');
}

/** The same as `confirmSpare`, for an order that a daemon is asked to carry out. Throws `ApiError` too. */
export async function confirmSpareOf(
  actions: readonly Action[],
  head: Value,
  { daemon, home }: { daemon: ApiClient; home: Home },
  { yes, instead }: { yes: boolean; instead: string },
): Promise<void> {
  const { roster } = await daemon.status();
  await confirmSpare(spareAfter(home, head, roster, actions), yes, instead);
}
