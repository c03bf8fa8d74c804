/** Reads the command line of every script in this folder. `test/scripts.test.ts` checks each script. */
import { type ParseArgsConfig, parseArgs } from 'node:util';

/**
 * The parsed arguments of `script`, such as `scripts/bench`. `usage` is the text after `usage: SCRIPT `. With
 * `--help` the process prints that text and ends with code 0. An argument that `config` does not name ends
 * the process as `refuseUsage` does.
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

/** Prints the first line of `what` to standard error, and ends the process with code 2. */
export function refuseUsage(script: string, what: string): never {
  const line = what.replace(/\.?\n[\s\S]*/, '');
  process.stderr.write(`${script}: ${line.charAt(0).toLowerCase()}${line.slice(1)}; see ${script} --help\n`);
  process.exit(2);
}
