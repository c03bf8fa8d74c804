/**
 * A change that takes the last member to spare, for signing or for the next change, is asked about before it
 * is ordered.
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

/**
 * What there is to spare after a change, in one sentence for each thing that it leaves without; and whether
 * it took it.
 */
interface Spare {
  sentences: string[];
  /** Whether the change itself takes the last one, or makes what lacks worse: else it was so before. */
  taken: boolean;
}

/**
 * `members`: as they are now. Whether the change takes what there was to spare is judged by them, and also as
 * if all were up: by what a choice of `n` and `k` leaves at best.
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
  if (now == null) return { sentences: [], taken: false }; // the group refuses it, and says why
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

/** What a founding roster of `n` leaves to spare when all are up. */
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

/** The least members of which signing and refreshing can each do without one; null when the cluster takes no more. */
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
 * Says what is left without anything to spare, and asks when the change takes it. `instead`: what a script
 * gives; `yes`: that it did. Throws `CommandError('refused')` when the person does not want it so.
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

/** The same for an order that a daemon is asked for. */
export async function confirmSpareOf(
  actions: readonly Action[],
  head: Value,
  { daemon, home }: { daemon: ApiClient; home: Home },
  { yes, instead }: { yes: boolean; instead: string },
): Promise<void> {
  const { roster } = await daemon.status();
  await confirmSpare(spareAfter(home, head, roster, actions), yes, instead);
}
