/** The story `kills` of `holdfast lab run`, at length: five daemons, five local ciphers, a refresh every 2.5 s. */
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Lab } from '../../src/lab/lab.ts';
import { stage } from '../../src/lab/scenario.ts';
import { kills } from '../../src/lab/scenarios/kills.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';

const chance = {
  times: Number(process.env.HOLDFAST_KILLS ?? 150),
  seed: Number(process.env.HOLDFAST_KILLS_SEED ?? Date.now() % 2 ** 31),
};

/** What was seen on the way goes into the run's output. */
const say = (line: string): void => void process.stdout.write(`  ${line}\n`);

describe('daemons killed at random while clients sign', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await stage(kills, readyPrimes(2048));
  }, 300_000);
  afterAll(() => lab?.close());

  for (const { claim, run } of kills.steps(chance)) test(claim, () => run(lab, say));
});
