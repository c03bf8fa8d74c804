/**
 * The cost of a member that floods, for the other members. The others sign while it floods and while it is
 * silent, in turns, in one run.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { HostilePeer } from '../../src/lab/hostile-peer.ts';
import { Lab } from '../../src/lab/lab.ts';
import { SigningProgram } from '../../src/lab/signing-program.ts';
import { ms, quantile, table, times, write } from './measure.ts';
import { type Bits, primesOf } from './sample.ts';

const turns = 3;
const secondsEach = 4;
const inFlight = 8;
const warmUps = 20;

export async function benchFlooder(bits: Bits): Promise<void> {
  const lab = await Lab.create({ peers: 5, threshold: 3, settings: { logLevel: 'error' } });
  let hostile: HostilePeer | undefined;
  try {
    const { p, q } = primesOf(bits);
    await lab.createKey('ca', { p: p.toString(16), q: q.toString(16) });
    await lab.untilEpoch(1);
    const program = await SigningProgram.of(lab, 'ca');
    hostile = await HostilePeer.replace(lab, 'e');
    hostile.respond = async () => {
      throw new Error('no answer');
    };
    for (let warmUp = 0; warmUp < warmUps; warmUp += 1) await measure(lab, program, 0);
    const found = { silent: [] as Turn[], flooding: [] as Turn[] };
    for (let turn = 0; turn < turns; turn += 1) {
      found.silent.push(await measure(lab, program, secondsEach));
      const flood = new Flood(hostile);
      found.flooding.push(await measure(lab, program, secondsEach));
      await flood.end();
    }
    const median = (list: readonly Turn[], of: keyof Turn): number =>
      quantile(
        list.map((turn) => turn[of]),
        0.5,
      );
    const rowOf = (name: string, list: readonly Turn[]): string[] => [
      name,
      median(list, 'rate').toFixed(1),
      times(median(list, 'rate') / median(found.silent, 'rate')),
      ms(median(list, 'cpuMs')),
      times(median(list, 'cpuMs') / median(found.silent, 'cpuMs')),
    ];
    table(
      `Four daemons and a hostile fifth on this machine, any 3 of 5, RSA-${bits}, ${inFlight} in flight, medians of ${turns} turns`,
      ['the fifth', 'signatures/s', 'against silent', 'daemons’ CPU ms a signature', 'against silent'],
      [rowOf('is silent', found.silent), rowOf('floods all others', found.flooding)],
    );
    const extraMs =
      (median(found.flooding, 'cpuMs') - median(found.silent, 'cpuMs')) * median(found.flooding, 'rate');
    const honest = lab.runningNames().length;
    write(`  the flood costs each daemon ${ms(extraMs / honest)} ms of processor time a second\n`);
    const cutOffs = (await lab.api('a').status()).problems.filter(({ code }) => code === 'cut-off');
    for (const { what } of cutOffs) write(`  a says: ${what}\n`);
  } finally {
    await hostile?.stop();
    await lab.close();
  }
}

/**
 * Sends frames, requests and publications to all others, as fast as they leave, while there is a connection.
 */
class Flood {
  #on = true;
  readonly #running: Promise<void>;

  constructor(hostile: HostilePeer) {
    this.#running = this.#run(hostile);
  }

  async #run({ transport }: HostilePeer): Promise<void> {
    const junk = Array.from({ length: 32 }, (_, at) => new Uint8Array(randomBytes(32 * (at + 1))));
    while (this.#on) {
      const peers = transport.authenticated();
      for (const peer of peers)
        for (const frame of junk) {
          transport.send(peer, frame);
          transport.request(peer, frame, { signal: AbortSignal.timeout(1_000) }).catch(() => {});
        }
      transport.publish(new Uint8Array(randomBytes(64)));
      await delay(peers.length === 0 ? 20 : 0);
    }
  }

  async end(): Promise<void> {
    this.#on = false;
    await this.#running;
  }
}

/**
 * Signatures a second, and the processor time of the honest daemons for one signature in milliseconds. Other
 * programs of the machine do not count.
 */
interface Turn {
  rate: number;
  cpuMs: number;
}

/**
 * The processor time of the honest daemons so far, in milliseconds. Linux counts it in hundredths of a
 * second.
 */
const workedMs = (lab: Lab): number =>
  lab.runningNames().reduce((sum, name) => {
    const [, fields = ''] = readFileSync(`/proc/${lab.peer(name).pid}/stat`, 'utf8').split(') ');
    const [user, system] = fields.split(' ').slice(11, 13).map(Number);
    return sum + 10 * ((user ?? 0) + (system ?? 0));
  }, 0);

/** Asks the four honest daemons for signatures in turn, for this time. With 0 seconds it asks once. */
async function measure(lab: Lab, program: SigningProgram, seconds: number): Promise<Turn> {
  const names = lab.runningNames();
  const workedBeforeMs = workedMs(lab);
  const startedAtMs = performance.now();
  const elapsed = (): number => (performance.now() - startedAtMs) / 1000;
  let signed = 0;
  const askOn = async (): Promise<void> => {
    do {
      signed += 1;
      await program.sign(names[signed % names.length] ?? 'a', `message ${signed}`);
    } while (elapsed() < seconds);
  };
  await Promise.all(Array.from({ length: seconds === 0 ? 1 : inFlight }, askOn));
  return { rate: signed / elapsed(), cpuMs: (workedMs(lab) - workedBeforeMs) / signed };
}
