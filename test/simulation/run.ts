/** One run: a safety phase full of faults, then a liveness phase in which everything must finish. */
import { createHash } from 'node:crypto';
import { trialBlock } from '../../src/crypto/encoding.ts';
import { decodeSigned } from '../../src/crypto/integers.ts';
import { combine, partial } from '../../src/crypto/signing.ts';
import { parametersOf } from '../../src/node/sealing.ts';
import { hex, numberOf } from '../../src/protocol/codec.ts';
import { clusterIdOf } from '../../src/protocol/genesis.ts';
import type { CoreState } from '../../src/protocol/state.ts';
import { hashOfValue, publicOf } from '../../src/protocol/value.ts';
import { samplePrimes } from '../crypto/sample.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { settled } from '../support/virtual-time.ts';
import { Chaos } from './chaos.ts';
import { fixtureOf, secretConstant } from './fixture.ts';
import { Liar } from './lies/liar.ts';
import { type LieName, lies } from './lies/library.ts';
import { Operator } from './operator.ts';
import type { RunOptions } from './options.ts';
import { Oracle, type Violation } from './oracle.ts';
import { Tally } from './tally.ts';
import { World } from './world.ts';

export interface RunResult {
  options: RunOptions;
  violation: Violation | null;
  /** Epochs that were decided. */
  epochs: number;
  /** Faults by kind. */
  faults: Tally;
  /** Hash of everything that any peer did, in order: the same for every run of the same options. */
  history: string;
  virtualMs: number;
}

export type Trace = (atMs: number, peer: string, what: string) => void;

/** More than any run needs: a group that goes round in circles ends here. */
const eventsMax = 400_000;

export async function simulate(options: RunOptions, trace: Trace = () => {}): Promise<RunResult> {
  const fixture = await fixtureOf(options.peers, options.threshold, options.faultModel);
  const faults = new Tally();
  const history = createHash('sha256');
  const liars = new Map<string, Liar>();

  const world: World = new World(options, fixture, {
    onOutput: (peer, output) => {
      oracle.onOutput(peer, output);
      if (output.type !== 'rule' && output.type !== 'refused') return;
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
    },
    route: (frame) => {
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
    runJob: (peer, job, run) => liars.get(peer.peer)?.job(job, run) ?? run(job),
  });
  const secrets = new Map(
    [0, 2].map((first) => [modulusOf(first), secretConstant(world.genesis.membersMax, first)]),
  );
  const oracle: Oracle = new Oracle(
    world,
    clusterIdOf(world.genesis),
    (modulus) => secrets.get(numberOf(modulus)) as bigint,
  );
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
      history: history.digest('hex').slice(0, 16),
      virtualMs: Math.round(world.time.now()),
    };
  };
  let events = 0;
  /** Runs until the condition holds, a violation, or the time is over. */
  const until = async (condition: () => boolean, atMs: number): Promise<boolean> => {
    await settled();
    while (oracle.violation === null) {
      if (condition()) return true;
      events += 1;
      if (world.time.now() > atMs || events > eventsMax || !(await step(world, oracle))) return false;
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
  const from = oracle.latest + 1;
  const again = () => world.peers.find(({ faulty, driver }) => faulty === null && driver)?.driver?.refresh();
  again();
  const limit = world.time.now() + options.livenessMs;
  const finished = await until(() => oracle.unfinished(from) === null, limit);
  if (!finished) oracle.fail('5', `${oracle.unfinished(from)} (after ${Math.round(world.time.now())} ms)`);
  else checkSignatures(world, oracle);
  return end();
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

/** Who lies, with which lies, and whose disk will go back in time. */
function chooseFaulty(world: World, tally: Tally): Liar[] {
  const random = seededRandom(world.options.seed + 99);
  const peers = [...world.peers].sort(() => random() - 0.5);
  const liars = peers.splice(0, world.options.liars).map((peer, order) => {
    peer.faulty = 'lies';
    const number = 1 + Math.floor(random() * 3);
    const { lies: names } = world.options;
    const chosen = new Set(
      names.length <= 3
        ? names
        : Array.from({ length: number }, () => names[Math.floor(random() * names.length)]),
    );
    return new Liar({
      world,
      peer,
      order,
      random: seededRandom(world.options.seed * 31 + peer.index),
      lies: [...chosen].map((name) => [name as string, lies[name as LieName]]),
      told: (name) => tally.count(`lie: ${name}`),
    });
  });
  for (const peer of peers.slice(0, world.options.restores)) peer.faulty = 'went-back';
  return liars;
}

function keepActing(world: World, liar: Liar): void {
  world.time.schedule(100 + liar.random() * 900, () => {
    liar.act();
    keepActing(world, liar);
  });
}

/** Statement 2 by the numbers themselves: k shares as they lie there, chosen at random, sign under the public key. */
function checkSignatures(world: World, oracle: Oracle): void {
  const value = oracle.values.get(oracle.latest)?.link.value;
  if (value === undefined) return;
  const holders = world.peers.flatMap(({ index, faulty, driver }) => {
    const shares = driver?.state.durable.shares[value.epoch] as
      | CoreState['durable']['shares'][string]
      | undefined;
    return faulty !== null || shares === undefined ? [] : [{ index, shares }];
  });
  const chosen = holders.sort(() => world.random() - 0.5).slice(0, value.threshold);
  for (const record of value.keys) {
    const key = publicOf(record);
    const parameters = parametersOf({
      key: record,
      threshold: value.threshold,
      membersMax: world.genesis.membersMax,
    });
    const block = trialBlock(hashOfValue(value), record.id, key.modulus);
    const partials = new Map(
      chosen.map(({ index, shares }) => {
        const share = decodeSigned(shares[hex(record.id)] as Uint8Array);
        return [index, partial({ key, parameters, share, block })];
      }),
    );
    if (partials.size < value.threshold || combine({ key, parameters, block, partials }) === null)
      oracle.fail('2', `${chosen.length} shares of epoch ${value.epoch} do not sign`);
  }
}
