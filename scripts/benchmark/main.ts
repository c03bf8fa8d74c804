/**
 * The program of `scripts/bench`. It measures what Holdfast costs on this machine, and what OpenSSL costs for
 * the same numbers in the same run. No figure makes it fail.
 */
import { argumentsOf, refuseUsage } from '../arguments.ts';
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

const all = Object.keys(parts);
const { values: options } = argumentsOf(
  'scripts/bench',
  `[--no-group] [--only PART]
       measures what Holdfast costs on this machine, beside what OpenSSL costs
       --no-group   leaves out the parts that need daemons: ${daemons.join(' and ')}
       --only PART  measures one part: ${all.join(', ')}`,
  { options: { 'no-group': { type: 'boolean', default: false }, only: { type: 'string' } } },
);
if (options.only !== undefined && parts[options.only] === undefined)
  refuseUsage('scripts/bench', `there is no part ${options.only}; there are ${all.join(', ')}`);
const chosen =
  options.only === undefined
    ? all.filter((name) => !options['no-group'] || !daemons.includes(name))
    : [options.only];
try {
  write(
    `Node ${process.version}, ${process.platform} ${process.arch}, OpenSSL ${process.versions.openssl}\n`,
  );
  for (const name of chosen) await parts[name]?.();
} catch (error) {
  write(`\nthe measurement stopped: ${(error as Error).message}\n`);
}
