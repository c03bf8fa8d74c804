import { Command, Option } from 'commander';
import { checkSafePrimes } from '../../keys/rsa/creation.ts';
import { rsaSecret } from '../../keys/rsa/kind.ts';
import { isPublicExponent } from '../../keys/rsa/sharing.ts';
import { type KeyUse, keyUseSchema } from '../../protocol/records/value.ts';
import { duration, optionsOf } from '../context.ts';
import { type GiveOptions, giveKey, withFirstClient } from '../key-giving.ts';
import { withOperator } from '../operators.ts';
import { warnOfSwap } from '../own-memory.ts';
import { readPrivateKey } from '../private-key-file.ts';
import { CommandError, warn } from '../terminal.ts';

interface ImportOptions extends GiveOptions {
  use: KeyUse;
  pem: string;
  pemPassphraseFile?: string;
}

export const keyImportCommand = (): Command =>
  withFirstClient(withOperator(new Command('import')))
    .description('share an RSA key that exists already; its original stays as dangerous as it is')
    .argument('<name>')
    .addOption(
      new Option('--use <use>', 'what the key is for, for ever')
        .choices(keyUseSchema.options)
        .makeOptionMandatory(),
    )
    .requiredOption('--pem <file>', 'the private key, PKCS#1 or PKCS#8, encrypted or not')
    .option('--pem-passphrase-file <file>', 'file whose first line is the passphrase of the PEM file')
    .option('--timeout <time>', 'give up when the group has not decided after this time', duration)
    .action(async (name: string, _, command: Command) => {
      const options = optionsOf<ImportOptions>(command);
      warnOfSwap();
      const { primes, exponent } = await readPrivateKey(options.pem, options.pemPassphraseFile);
      const safePrimes = checkSafePrimes(primes.p, primes.q);
      if (!safePrimes)
        warn(
          'the primes of this key are not safe primes. The proofs by which the group names a lying peer then assume that nobody finds elements of small order. What the key makes is not touched: every signature and plaintext is checked with the public key.',
        );
      await giveKey(command, options, {
        name,
        use: options.use,
        secret: rsaSecret(primes, exponent),
        check: ({ genesis: { membersMax } }) => {
          if (!isPublicExponent(exponent, membersMax))
            throw new CommandError(
              'refused',
              `the public exponent ${exponent} of this key must be a prime above ${membersMax}`,
            );
        },
        report: {
          facts: { safePrimes, original: 'still whole' },
          lines: [
            `the original is still whole in ${options.pem}: whoever has it, or a copy or backup of it, needs no group`,
            'next: use the key here once, then destroy every copy of the original, or keep one offline as the backup',
          ],
        },
      });
    });
