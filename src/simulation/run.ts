/**
 * One run. First comes a safety phase full of faults, and then a liveness phase in which everything must
 * finish.
 */

import { createHash } from 'node:crypto';
import { decodeSigned } from '../crypto/integers.ts';
import { learnKind } from '../keys/kinds.ts';
import { trialBlock } from '../keys/rsa/encoding.ts';
import { parametersOf, publicOf } from '../keys/rsa/setting.ts';
import { combine, partial } from '../keys/rsa/signing.ts';
import type { PrintedName } from '../protocol/machine/rule-names.ts';
import { hex } from '../protocol/records/codec.ts';
import { clusterIdOf } from '../protocol/records/genesis.ts';
import { faultsOf } from '../protocol/records/roster.ts';
import { hashOfValue } from '../protocol/records/value.ts';
import { absencesIn, allReinstated, type Stage, someSleep } from './chaos/absences.ts';
import { Chaos } from './chaos/chaos.ts';
import { Operator } from './chaos/operator.ts';
import { Liar } from './lies/liar.ts';
import { allianceNamed, lieNamed } from './lies/library.ts';
import type { Violation } from './oracle/facts.ts';
import { keyOracles } from './oracle/key-oracles.ts';
import { lookEveryMs, MutualTrust } from './oracle/mutual-trust.ts';
import { Oracle } from './oracle/oracle.ts';
import { isUnderWay, unfinished } from './oracle/progress.ts';
import { Counters } from './world/counters.ts';
import { fixtureOf, secretConstant } from './world/fixture.ts';
import { type RunOptions, tooManyLie } from './world/run-options.ts';
import { samplePrimes } from './world/sample-keys.ts';
import { seededRandom } from './world/seeded-random.ts';
import { toy } from './world/toy-kind.ts';
import { settled } from './world/virtual-time.ts';
import { type Peer, World } from './world/world.ts';

/** Blinding hides timing, and nobody measures here. */
const blinding = new Uint8Array(16);

/** The result of one run. */
export interface RunResult {
  options: RunOptions;
  violation: Violation | null;
  /** How many epochs were decided. */
  epochs: number;
  /** The faults by kind. */
  faults: Counters;
  /** The kinds of absence in the run: a suspension, a sleeper, a reinstatement. */
  absences: readonly string[];
  /** A hash of everything that any peer did, in order. It is the same for every run with the same options. */
  history: string;
  virtualMs: number;
  /** How much an honest store grew in one change at most, as a part of its bound (`growth.ts`). */
  growth: number;
}

/** A result in the form that goes from one thread to another. */
export interface RunReport {
  options: RunOptions;
  violation: { statement: string; message: string } | null;
  /** How many members lie (protocol §8). */
  kind: 'nobody lies' | 'at most `faults` lie' | 'more than `faults` lie';
  epochs: number;
  absences: readonly string[];
  faults: ReadonlyArray<readonly [string, number]>;
  history: string;
  virtualMs: number;
}

/** The report on a result. */
export const reportOf = ({ violation, faults, ...rest }: RunResult): RunReport => ({
  ...rest,
  violation: violation && { statement: violation.statement, message: violation.message },
  kind:
    rest.options.liars === 0
      ? 'nobody lies'
      : tooManyLie(rest.options)
        ? 'more than `faults` lie'
        : 'at most `faults` lie',
  faults: [...faults.counts],
});

type Trace = (atMs: number, peer: string, what: string) => void;

/**
 * The rest at the end, in milliseconds. It is longer than the proof of a replaced key counts, so a missing
 * new proof shows.
 */
const restMs = 2_500;

/** The names of rules that are counted beside the faults. */
const counted = new Set<PrintedName>([
  'recovered',
  'recover-again',
  'muted',
  'enter-forced',
  'evicted',
  'gate-closed',
  'false-sub-share',
  'job-failed',
  'dealing-given-up',
  'mask-given-up',
]);

/** More events than any run of so many peers needs. A group that goes round in circles ends here. */
const eventsMax = (peers: number): number => 400_000 + 4_000 * peers ** 2;

learnKind(toy);

/**
 * Runs a group. `trace` gets every fact that a person may want to see, with its virtual time in milliseconds.
 */
export async function simulate(options: RunOptions, trace: Trace = () => {}): Promise<RunResult> {
  const fixture = await fixtureOf(options);
  const faults = new Counters();
  const history = createHash('sha256');
  const liars = new Map<string, Liar>();

  const world: World = new World(options, fixture, {
    onOutput: (peer, output) => {
      oracle.onOutput(peer, output);
      if (output.type !== 'rule' && output.type !== 'refused') return;
      if (output.type === 'rule' && counted.has(output.rule)) faults.count(`rule: ${output.rule}`);
      const what =
        output.type === 'rule'
          ? `${output.rule} ${JSON.stringify(output.detail)}`
          : `refused ${output.code} from ${output.from}: ${output.why}`;
      history.update(`${world.time.now()} ${peer.name} ${what}\n`);
      trace(world.time.now(), peer.name, what);
    },
    onChange: (peer) => {
      oracle.onChange(peer);
      operator.serve(peer);
    },
    onDurable: (peer, transaction) => oracle.onDurable(peer, transaction),
    onFailure: (peer, error) => {
      if (peer.faulty !== 'lies') oracle.fail('6', `${peer.name} failed: ${error.stack ?? error.message}`);
    },
    onCrash: (peer) => {
      trace(world.time.now(), peer.name, 'CRASH');
      chaos.onCrash(peer);
      oracle.onCrash(peer);
    },
    route: (frame) => {
      history.update(`${world.time.now()} ${frame.from} ${frame.to} `).update(frame.bytes);
      const fate = chaos.fate(frame);
      if (fate === 'lost') return [];
      const from = liars.get(frame.from);
      const to = world.peers.find(({ peer }) => peer === frame.to);
      const liar = liars.get(frame.to);
      if (to === undefined) return [];
      return (from === undefined ? [frame.bytes] : from.bend(to, frame.bytes)).flatMap((sent) => {
        const bytes = liar === undefined ? sent : liar.receives(sent);
        return bytes === null ? [] : Array.from({ length: chaos.copies() }, () => ({ bytes, ...fate }));
      });
    },
    workerDies: (peer) => chaos.workerDies(peer),
    runJob: (peer, job, run) => liars.get(peer.peer)?.job(job, run) ?? run(job),
  });
  const secrets = new Map(
    [0, 2].map((first) => [modulusOf(first), secretConstant(world.genesis.membersMax, first)]),
  );
  const oracleOf = keyOracles(world.genesis.membersMax, (modulus) => secrets.get(modulus));
  const oracle: Oracle = new Oracle(world, clusterIdOf(world.genesis), oracleOf);
  const operator = new Operator(world);
  const chaos = new Chaos(world, operator, faults, (peer) => oracle.onWentBack(peer));
  for (const liar of chooseFaulty(world, faults)) liars.set(liar.peer.peer, liar);

  const end = async (): Promise<RunResult> => {
    await world.stop();
    return {
      options,
      violation: oracle.violation,
      epochs: oracle.latest - 1,
      faults,
      absences: absencesIn(
        [...oracle.values.values()].map(({ link }) => link.value).sort((a, b) => a.epoch - b.epoch),
        options.absentEpochsMax,
      ),
      history: history.digest('hex').slice(0, 16),
      virtualMs: Math.round(world.time.now()),
      growth: oracle.growth.most,
    };
  };
  let events = 0;
  /** Runs until the condition holds. False when a violation comes first, or the time is over. */
  const until = async (condition: () => boolean, atMs: number): Promise<boolean> => {
    await settled();
    while (oracle.violation === null) {
      if (condition()) return true;
      events += 1;
      if (world.time.now() > atMs || events > eventsMax(options.peers)) return false;
      if (!(await step(world, oracle))) return false;
    }
    return false;
  };

  for (const peer of world.peers) void world.start(peer);
  chaos.schedule();
  for (const liar of liars.values()) keepActing(world, liar);
  await until(() => world.time.now() >= options.safetyMs, options.safetyMs + 1);
  if (oracle.violation !== null) return end();

  trace(world.time.now(), 'all', 'FAULTS STOP');
  chaos.end();
  if (!options.liesLast) for (const liar of liars.values()) liar.lying = false;
  if (options.deadInMidChange) someDie(world, oracle, faults);
  keepLooking(world, oracle);
  const from = oracle.latest + 1;
  honestMembers(world, oracle)[0]?.driver?.refresh();
  const finishes = async (epoch: number): Promise<boolean> => {
    const finished = await until(
      () => unfinished(oracle, epoch) === null,
      world.time.now() + options.livenessMs,
    );
    if (!finished)
      oracle.fail(
        '5',
        `${unfinished(oracle, epoch)} (after ${Math.round(world.time.now())} ms, ${events} events)`,
      );
    return finished;
  };
  let finished = await finishes(from);
  if (finished && options.dead > 0 && !options.deadInMidChange) {
    const between = () => unfinished(oracle, from) === null && !isUnderWay(world);
    finished = await until(between, world.time.now() + options.livenessMs);
    if (!finished) oracle.fail('5', 'there is no moment between two changes');
    someDie(world, oracle, faults);
    finished &&= await finishes(oracle.latest + 1);
  }
  if (finished && options.dying && moreDieThanFaults(world, oracle, operator, faults))
    finished = await finishes(oracle.latest + 1);
  const honest = () => honestMembers(world, oracle);
  const stage: Stage = { world, oracle, operator, counters: faults, honest, until, finishes };
  if (finished && options.sleepers > 0) finished = await someSleep(stage);
  if (finished && options.reinstates && !tooManyLie(options)) finished = await allReinstated(stage);
  if (finished) checkSignatures(world, oracle);
  oracle.checkAtTheEnd(world.random);
  if (finished && options.rests) await until(() => false, world.time.now() + restMs);
  return end();
}

/** Lets members die for good: as many as the options say, and at most `faults` of the newest value. */
function someDie(world: World, oracle: Oracle, counters: Counters): void {
  const value = oracle.newest;
  if (value === undefined) return;
  const faults = faultsOf(value.roster.length, value.threshold, world.options.faultModel);
  const members = honestMembers(world, oracle).sort(() => world.random() - 0.5);
  for (const peer of members.slice(0, Math.min(faults, world.options.dead))) bury(world, peer, counters);
}

function bury(world: World, peer: Peer, counters: Counters): void {
  peer.faulty = 'dead';
  world.crash(peer);
  counters.count('dead for good');
}

const honestMembers = (world: World, oracle: Oracle) =>
  world.peers.filter(
    ({ peer, faulty, driver }) =>
      faulty === null && driver !== null && oracle.newest?.roster.some((member) => member.peer === peer),
  );

/**
 * Lets so many members die that no ordinary change can be decided. The operator then lets the members that
 * remain decide alone. False when too few would remain.
 */
function moreDieThanFaults(world: World, oracle: Oracle, operator: Operator, counters: Counters): boolean {
  const value = oracle.newest;
  const members = honestMembers(world, oracle);
  if (value === undefined) return false;
  const count = 1 + faultsOf(value.roster.length, value.threshold, world.options.faultModel);
  const dead = members.sort(() => world.random() - 0.5).splice(0, count);
  const [by] = members;
  if (members.length < value.threshold || members.length + count < value.roster.length || by === undefined)
    return false;
  for (const peer of dead) bury(world, peer, counters);
  operator.forceEviction(
    by,
    members.map(({ index }) => index),
  );
  return true;
}

const modulusOf = (first: number): bigint => {
  const { p, q } = samplePrimes(512, first);
  return p * q;
};

async function step(world: World, oracle: Oracle): Promise<boolean> {
  try {
    return await world.next();
  } catch (error) {
    oracle.fail('6', `an event failed: ${(error as Error).stack}`);
    return false;
  }
}

/** Chooses the members that lie, with their lies, and the members whose disks go back in time. */
function chooseFaulty(world: World, counters: Counters): Liar[] {
  const random = seededRandom(world.options.seed + 99);
  const peers = [...world.peers].sort(() => random() - 0.5);
  const liars = peers.splice(0, world.options.liars).map((peer, order) => {
    peer.faulty = 'lies';
    const number = 1 + Math.floor(random() * 3);
    const { lies: names, alliance } = world.options;
    const chosen = new Set<string>(
      alliance !== null
        ? allianceNamed(alliance)
        : names.length <= 3
          ? names
          : Array.from({ length: number }, () => names[Math.floor(random() * names.length)] as string),
    );
    return new Liar({
      world,
      peer,
      order,
      random: seededRandom(world.options.seed * 31 + peer.index),
      lies: [...chosen].map((name) => [name, lieNamed(name)]),
      told: (name) => counters.count(`lie: ${name}`),
    });
  });
  for (const peer of peers.slice(0, world.options.restores)) peer.faulty = 'went-back';
  return liars;
}

/** Checks again and again that connected members trust each other when all are at one value. */
function keepLooking(world: World, oracle: Oracle, trust = new MutualTrust()): void {
  world.time.schedule(lookEveryMs, () => {
    const wrong = trust.look(world.time.now(), honestMembers(world, oracle));
    if (wrong !== null) oracle.fail('5', wrong);
    keepLooking(world, oracle, trust);
  });
}

function keepActing(world: World, liar: Liar): void {
  world.time.schedule(100 + liar.random() * 900, () => {
    liar.act();
    keepActing(world, liar);
  });
}

/**
 * Checks statement 2 by the numbers: `k` shares from the disks, chosen at random, sign under the public key.
 */
function checkSignatures(world: World, oracle: Oracle): void {
  const value = oracle.newest;
  if (value === undefined) return;
  const holders = world.peers.flatMap(({ index, faulty, driver }) => {
    const shares = driver?.state.durable.shares[value.epoch];
    return faulty !== null || shares === undefined ? [] : [{ index, shares }];
  });
  const chosen = holders.sort(() => world.random() - 0.5).slice(0, value.threshold);
  for (const record of value.keys.filter(({ kind }) => kind === 'rsa')) {
    const key = publicOf(record.public);
    const { membersMax } = world.genesis;
    const parameters = parametersOf({ public: record.public, threshold: value.threshold, membersMax });
    const block = trialBlock(hashOfValue(value), record.id, key.modulus);
    const partials = new Map(
      chosen.map(({ index, shares }) => {
        const share = decodeSigned(shares[hex(record.id)] as Uint8Array);
        return [index, partial({ key, parameters, share, block, blinding })];
      }),
    );
    if (partials.size < value.threshold || combine({ key, parameters, block, partials }) === null)
      oracle.fail('2', `${chosen.length} shares of epoch ${value.epoch} do not sign`);
  }
}
