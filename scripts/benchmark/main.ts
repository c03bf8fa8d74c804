/**
 * `scripts/bench`: what Holdfast costs on this machine, beside what OpenSSL costs for the same numbers in the same run.
 * It reports; no figure makes it fail. `--no-group` leaves out what needs daemons, `--only PART` everything else.
 */
import { parseArgs } from 'node:util';
import { benchEngine } from './engine.ts';
import { benchFlooder } from './flooder.ts';
import { benchGroup } from './group.ts';
import { write } from './measure.ts';
import { benchRefresh } from './refresh.ts';
import { benchSignature } from './signature.ts';

const parts: Record<string, () => void | Promise<void>> = {
  engine: () => {
    benchEngine(2048);
    benchEngine(3072);
  },
  signature: () => {
    benchSignature(2048, 3);
    benchSignature(3072, 3);
  },
  refresh: () =>
    benchRefresh(2048, [
      { n: 5, threshold: 3 },
      { n: 16, threshold: 6 },
      { n: 20, threshold: 7 },
    ]),
  group: () => benchGroup(2048),
  flooder: () => benchFlooder(2048),
};
const daemons = ['group', 'flooder'];

const { values: options } = parseArgs({
  options: { 'no-group': { type: 'boolean', default: false }, only: { type: 'string' } },
});
const all = Object.keys(parts);
const chosen =
  options.only === undefined
    ? all.filter((name) => !options['no-group'] || !daemons.includes(name))
    : [options.only];
try {
  write(
    `Node ${process.version}, ${process.platform} ${process.arch}, OpenSSL ${process.versions.openssl}\n`,
  );
  for (const name of chosen) {
    const measure = parts[name];
    if (measure === undefined) throw new Error(`there is no part ${name}; there are ${all.join(', ')}`);
    await measure();
  }
} catch (error) {
  write(`\nthe measurement stopped: ${(error as Error).message}\n`);
}
