/** Five daemons on five machines of a network of namespaces, whose cables are pulled and put back. */
import { afterAll, beforeAll, describe, test } from 'vitest';
import type { Lab } from '../../src/lab/lab.ts';
import { whatForbidsLan } from '../../src/lab/lan.ts';
import { stage } from '../../src/lab/scenario.ts';
import { partition } from '../../src/lab/scenarios/partition.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';

const forbidden = whatForbidsLan();
if (forbidden !== null)
  process.stderr.write(`skipped: this machine forbids network namespaces: ${forbidden}\n`);
const patienceMs = 180_000;

describe.skipIf(forbidden !== null)('five daemons on a local network', { timeout: patienceMs }, () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await stage(partition, readyPrimes(2048));
  }, patienceMs);
  afterAll(() => lab?.close());

  for (const { claim, run } of partition.steps()) test(claim, () => run(lab, () => {}));
});
