/** Five daemons in processes of their own on this machine. The benchmark asks them as a program does. */

import { Lab } from '../../src/lab/lab.ts';
import { SigningProgram } from '../../src/lab/signing-program.ts';
import { quantile, table, write } from './measure.ts';
import { type Bits, primesOf } from './sample.ts';

const secondsEach = 5;
const warmUps = 20;
const refreshes = 3;

export async function benchGroup(bits: Bits): Promise<void> {
  const lab = await Lab.create({ peers: 5, threshold: 3, settings: { logLevel: 'warn' } });
  try {
    const { p, q } = primesOf(bits);
    await lab.createKey('ca', { p: p.toString(16), q: q.toString(16) });
    await lab.untilEpoch(1);
    const signOnce = await signer(lab);
    for (let warmUp = 0; warmUp < warmUps; warmUp += 1) await signOnce();
    const rows: string[][] = [];
    for (const inFlight of [1, 8]) rows.push(await rowOf(signOnce, inFlight));
    table(
      `Five daemons on this machine, any 3 of 5, RSA-${bits}, PKCS#1: from the request at one daemon to its checked signature`,
      ['in flight', 'signatures/s', 'median ms', '95 % ms', '99 % ms'],
      rows,
    );
    write(
      `  one refresh, until all five have erased their old shares: ${await refreshMs(lab)} ms (median)\n`,
    );
  } finally {
    await lab.close();
  }
}

/**
 * A function that has one digest signed, by another daemon each time, and gives the milliseconds that it
 * took.
 */
async function signer(lab: Lab): Promise<() => Promise<number>> {
  const program = await SigningProgram.of(lab, 'ca');
  const { names } = lab;
  let asked = 0;
  return async () => {
    asked += 1;
    const request = program.request(`message ${asked}`);
    const startedAtMs = performance.now();
    await lab.api(names[asked % names.length] ?? 'a').sign(request, 20_000);
    return performance.now() - startedAtMs;
  };
}

async function rowOf(signOnce: () => Promise<number>, inFlight: number): Promise<string[]> {
  const latenciesMs: number[] = [];
  const startedAtMs = performance.now();
  const elapsedSeconds = (): number => (performance.now() - startedAtMs) / 1000;
  const askOn = async (): Promise<void> => {
    while (elapsedSeconds() < secondsEach) latenciesMs.push(await signOnce());
  };
  await Promise.all(Array.from({ length: inFlight }, askOn));
  const rate = latenciesMs.length / elapsedSeconds();
  return [
    String(inFlight),
    rate.toFixed(1),
    ...[0.5, 0.95, 0.99].map((part) => quantile(latenciesMs, part).toFixed(1)),
  ];
}

async function refreshMs(lab: Lab): Promise<string> {
  const tookMs: number[] = [];
  for (let round = 0; round < refreshes; round += 1) {
    const { epoch } = await lab.api('a').status();
    const startedAtMs = performance.now();
    await lab.api('a').refresh();
    await lab.untilEpoch((epoch ?? 0) + 1);
    tookMs.push(performance.now() - startedAtMs);
  }
  return quantile(tookMs, 0.5).toFixed(0);
}
