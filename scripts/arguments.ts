/** How every script here reads its command line. `test/scripts.test.ts` checks it, script by script. */
import { type ParseArgsConfig, parseArgs } from 'node:util';

/**
 * The parsed arguments of `script`, such as `scripts/bench`. `usage` is the text that follows `usage: SCRIPT `.
 * With `--help` the process prints the usage text and ends with code 0. An argument that `config` does not name ends
 * it as `refuseUsage` does.
 */
export function argumentsOf<Config extends ParseArgsConfig>(
  script: string,
  usage: string,
  config: Config,
): ReturnType<typeof parseArgs<Config>> {
  if (process.argv.slice(2).includes('--help')) {
    process.stdout.write(`usage: ${script} ${usage.trim()}\n`);
    process.exit(0);
  }
  try {
    return parseArgs(config);
  } catch (error) {
    return refuseUsage(script, (error as Error).message);
  }
}

/** Prints one line, the first of `what`, to standard error, and ends the process with code 2. */
export function refuseUsage(script: string, what: string): never {
  const line = what.replace(/\.?\n[\s\S]*/, '');
  process.stderr.write(`${script}: ${line.charAt(0).toLowerCase()}${line.slice(1)}; see ${script} --help\n`);
  process.exit(2);
}
