import { Command, Option } from 'commander';
import { generateSafePrimes, type Primes } from '../../keys/rsa/creation.ts';
import { rsaSecret } from '../../keys/rsa/kind.ts';
import { type KeyUse, keyUseSchema } from '../../protocol/records/value.ts';
import { duration, interruption, optionsOf, wholeNumber } from '../context.ts';
import { type GiveOptions, giveKey, withFirstClient } from '../key-giving.ts';
import { withOperator } from '../operators.ts';
import { warnOfSwap } from '../own-memory.ts';
import { checkKeySize, keySizes, readPrimes } from '../primes.ts';
import { progress } from '../terminal.ts';

interface CreateOptions extends GiveOptions {
  use: KeyUse;
  bits: number;
  primesFile?: string;
}

const publicExponent = 65537n;

export const keyCreateCommand = (): Command =>
  withFirstClient(withOperator(new Command('create')))
    .description('make a shared RSA key; this command is its dealer and forgets it when the group has it')
    .argument('<name>')
    .addOption(
      new Option('--use <use>', 'what the key is for, for ever')
        .choices(keyUseSchema.options)
        .makeOptionMandatory(),
    )
    .option('--bits <size>', keySizes.join(', '), wholeNumber, 3072)
    .option('--timeout <time>', 'give up when the group has not decided after this time', duration)
    .addOption(
      new Option(
        '--primes-file <file>',
        'two safe primes as {"p": hex, "q": hex} instead of a search, for ceremonies and tests; erase the file afterwards',
      ),
    )
    .action(async (name: string, _, command: Command) => {
      const options = optionsOf<CreateOptions>(command);
      warnOfSwap();
      const given = options.primesFile === undefined ? null : await readPrimes(options.primesFile);
      if (given === null) checkKeySize(options.bits);
      await giveKey(command, options, {
        name,
        use: options.use,
        secret:
          given === null
            ? async () => rsaSecret(await searchPrimes(options.bits), publicExponent)
            : rsaSecret(given, publicExponent),
      });
    });

/** Searches the primes off the main thread, and reports progress. */
async function searchPrimes(bits: number): Promise<Primes> {
  const signal = interruption(undefined, () => 'stopped; no key was made and nothing is handed in');
  const startedAtMs = performance.now();
  progress(
    `searching two safe primes of ${bits / 2} bits: ${bits > 3072 ? 'up to minutes' : 'some seconds'}…`,
  );
  const primes = await generateSafePrimes(bits, signal, (found) => progress(`${found} of 2 found`));
  progress(`found after ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`);
  return primes;
}
