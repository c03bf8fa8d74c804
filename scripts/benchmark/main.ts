/**
 * `scripts/bench`: what Holdfast costs on this machine, beside what OpenSSL costs for the same numbers in the same run.
 * It reports; no figure makes it fail. `--no-group` leaves out the five daemons.
 */
import { parseArgs } from 'node:util';
import { benchEngine } from './engine.ts';
import { benchGroup } from './group.ts';
import { write } from './measure.ts';
import { benchRefresh } from './refresh.ts';
import { benchSignature } from './signature.ts';

const { values: options } = parseArgs({ options: { 'no-group': { type: 'boolean', default: false } } });
try {
  write(
    `Node ${process.version}, ${process.platform} ${process.arch}, OpenSSL ${process.versions.openssl}\n`,
  );
  benchEngine(2048);
  benchEngine(3072);
  benchSignature(2048, 3);
  benchSignature(3072, 3);
  benchRefresh(2048, [
    { n: 5, threshold: 3 },
    { n: 16, threshold: 6 },
    { n: 20, threshold: 7 },
  ]);
  if (!options['no-group']) await benchGroup(2048);
} catch (error) {
  write(`\nthe measurement stopped: ${(error as Error).message}\n`);
}
