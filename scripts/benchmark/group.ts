/** Five daemons in processes of their own on this machine, asked as a program asks them. */
import { join } from 'node:path';
import { openClientFile } from '../../src/cli/key-files.ts';
import { Lab } from '../../src/lab/lab.ts';
import { fromHex } from '../../src/protocol/codec.ts';
import { signUse } from '../../src/protocol/use-request.ts';
import { quantile, table, write } from './measure.ts';
import { type Bits, primesOf, random } from './sample.ts';

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

/** A function that has one digest signed, by each daemon in turn, and tells how many milliseconds it took. */
async function signer(lab: Lab): Promise<() => Promise<number>> {
  const apis = lab.names.map((name) => lab.api(name));
  const [api] = apis;
  const key = (await api?.keys())?.[0];
  const status = await api?.status();
  if (key === undefined || status === undefined) throw new Error('the group has no key');
  const client = openClientFile(join(lab.peer('a').home, 'clients', 'operator.key'));
  let asked = 0;
  return async () => {
    const daemon = apis[asked % apis.length] ?? lab.api('a');
    asked += 1;
    const request = signUse(client.seed, {
      cluster: fromHex(status.cluster),
      client: client.publicKey,
      key: fromHex(key.id),
      operation: 'sign',
      scheme: 'pkcs1',
      hash: 'sha256',
      digest: random(32),
      salt: new Uint8Array(0),
      nonce: random(16),
      expiresAtMs: Date.now() + 60_000,
    });
    const startedAtMs = performance.now();
    await daemon.sign(request, 20_000);
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
