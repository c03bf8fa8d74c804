import { Command } from 'commander';
import { routes } from '../../api/routes.ts';
import { Decryption } from '../../client/decryption.ts';
import { plaintextIn } from '../../client/group-signer.ts';
import { readPrivateFile } from '../../node/home/home.ts';
import type { DecryptAnswer } from '../../node/use/answers.ts';
import { optionsOf } from '../context.ts';
import { publicKeyOption, readPublicKey } from '../keys.ts';
import { type PaddingOptions, paddingOf, sayPlaintext, withPadding } from '../plaintext.ts';
import { CommandError, readInput, refuseBytesOnTerminal } from '../terminal.ts';

export const clientOpenCommand = (): Command =>
  withPadding(new Command('open'))
    .description('the plaintext in an answer of /v1/decrypt, on standard output')
    .argument('[answer]', 'as JSON; standard input when left out or -', '-')
    .requiredOption('--secret <file>', 'the one-time key that client sign-request --decrypt wrote')
    .addOption(publicKeyOption())
    .action(async (file: string, _, command: Command) => {
      const { secret, publicKey, ...padding } = optionsOf<
        PaddingOptions & { secret: string; publicKey?: string }
      >(command);
      refuseBytesOnTerminal(padding);
      const decryption = Decryption.resume(Buffer.from(readPrivateFile(secret)).toString('utf8'));
      if (decryption === null)
        throw new CommandError(
          'failed',
          `${secret} was not written by: holdfast client sign-request --decrypt`,
        );
      if (publicKey !== undefined) decryption.pin(await readPublicKey(publicKey));
      const answer = await answerIn(file);
      const { result, culprits } = decryption.combine(answer);
      decryption.forget();
      if (result === null) {
        const who = culprits.length === 0 ? '' : ` (false: ${culprits.join(', ')})`;
        throw new CommandError(
          'not-enough-peers',
          `the partials do not combine${who}; post the request again with "prove": true`,
        );
      }
      const { name } = answer.key;
      const plaintext = plaintextIn(result, answer.key, paddingOf(padding));
      sayPlaintext(plaintext, name, padding);
    });

async function answerIn(file: string): Promise<DecryptAnswer> {
  try {
    return routes.decrypt.answer.parse(JSON.parse((await readInput(file)).toString('utf8')));
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError('refused', `${file} is no answer of /v1/decrypt; look at what the daemon said`);
  }
}
