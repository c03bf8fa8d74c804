/**
 * Members that stay away until they count as sleepers (§5). The operator gives them, and suspended members,
 * their places again.
 */
import { faultsOf, sleeps } from '../../protocol/records/roster.ts';
import type { Value } from '../../protocol/records/value.ts';
import type { Oracle } from '../oracle/oracle.ts';
import { unfinished } from '../oracle/progress.ts';
import type { Counters } from '../world/counters.ts';
import type { Peer, World } from '../world/world.ts';
import type { Operator } from './operator.ts';

/** The parts of a run that this file uses, and how the run waits. */
export interface Stage {
  world: World;
  oracle: Oracle;
  operator: Operator;
  counters: Counters;
  honest: () => Peer[];
  /**
   * Runs until the condition holds. False when a violation comes first, or `atMs` of virtual time is reached.
   */
  until: (condition: () => boolean, atMs: number) => Promise<boolean>;
  /**
   * Runs until all honest members are at this epoch. False, with a violation, when they do not come there in
   * time.
   */
  finishes: (epoch: number) => Promise<boolean>;
}

const newestOf = ({ oracle }: Stage): Value => oracle.newest as Value;

const isAsleep = ({ world }: Stage, value: Value, peer: string): boolean =>
  value.roster.some(
    (member) => member.peer === peer && sleeps(member, value.epoch, world.options.absentEpochsMax),
  );

/** Stops some members until they sleep. False when the others do not go on. */
export async function someSleep(stage: Stage): Promise<boolean> {
  const { world, oracle, counters } = stage;
  const { roster, threshold, lastOrder } = newestOf(stage);
  // An order under way may lead to a smaller group, in which fewer members may be away.
  if (world.peers.some(({ driver }) => driver?.state.durable.orders[lastOrder + 1] !== undefined))
    return true;
  const bad = roster.filter(({ peer }) => world.peers.find((one) => one.peer === peer)?.faulty !== null);
  const spare = faultsOf(roster.length, threshold, world.options.faultModel) - bad.length;
  const away = stage
    .honest()
    .sort(() => world.random() - 0.5)
    .slice(0, Math.max(0, Math.min(spare, world.options.sleepers)));
  for (const peer of away) {
    peer.faulty = 'away';
    world.crash(peer);
    counters.count('away for long');
  }
  while (away.some(({ peer }) => !isAsleep(stage, newestOf(stage), peer))) {
    stage.honest()[0]?.driver?.refresh();
    if (!(await stage.finishes(oracle.latest + 1))) return false;
  }
  for (const peer of away) {
    peer.faulty = 'was-away';
    if (world.random() < 0.5) void world.start(peer);
  }
  return true;
}

/**
 * Every suspended or sleeping member gets its place again under a new identity, and a share. False when one
 * does not get it in time.
 */
export async function allReinstated(stage: Stage): Promise<boolean> {
  const { world, oracle, operator } = stage;
  const value = newestOf(stage);
  const barred = value.roster.filter(
    ({ index, peer }) => value.suspended.some((one) => one.index === index) || isAsleep(stage, value, peer),
  );
  const [by] = stage.honest();
  if (barred.length === 0 || by?.driver?.state.durable.own.head !== value.epoch) return true;
  const asked: { taken: boolean | null } = { taken: null };
  void operator
    .reinstate(
      by,
      barred.map(({ index }) => index),
    )
    .then((taken) => {
      asked.taken = taken;
    });
  const { livenessMs } = world.options;
  if (!(await stage.until(() => asked.taken !== null, world.time.now() + livenessMs))) return false;
  if (!asked.taken) return true; // one change cannot carry all of them; an operator would do it in steps
  const done = (): boolean => {
    const { roster, lastOrder } = newestOf(stage);
    const isListed = ({ peer }: { peer: string }) => roster.some((member) => member.peer === peer);
    if (lastOrder <= value.lastOrder || unfinished(oracle, value.epoch + 1) !== null) return false;
    return barred.every(isListed) || roster.every(({ peer }) => world.peers.some((one) => one.peer === peer));
  };
  if (await stage.until(done, world.time.now() + livenessMs)) return true;
  oracle.fail('5', `members ${barred.map(({ name }) => name).join(', ')} did not get their places again`);
  return false;
}

/** The kinds of absence in a run, for its count: a suspension, a sleeper, a reinstatement. */
export function absencesIn(values: readonly Value[], absentEpochsMax: number): string[] {
  const suspended = values.some((value) => value.suspended.length > 0);
  const slept = values.some((value) =>
    value.roster.some((member) => sleeps(member, value.epoch, absentEpochsMax)),
  );
  const reinstated = values.some((value, at) => {
    const before = values[at - 1]?.roster ?? [];
    return value.roster.some(({ index, name, peer }) =>
      before.some((old) => old.index === index && old.name === name && old.peer !== peer),
    );
  });
  return [
    ...(suspended ? ['with a suspension'] : []),
    ...(slept ? ['with a sleeper'] : []),
    ...(reinstated ? ['with a reinstatement'] : []),
  ];
}
