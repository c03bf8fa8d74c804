import { Command } from 'commander';
import { verifySignature } from '../../keys/rsa/public-forms.ts';
import { optionsOf, withApi } from '../context.ts';
import { asClientOf, type SchemeOptions, withScheme } from '../keys.ts';
import { CommandError, readInput, say, sayJson } from '../terminal.ts';

export const verifyCommand = (): Command =>
  withScheme(new Command('verify'))
    .description('check a signature with a key of the group; exit code 3 when it is not valid')
    .argument('[file]', 'what was signed; standard input when left out or -', '-')
    .requiredOption('--signature <file>', 'the raw signature')
    .action(async (file: string, _, command: Command) => {
      const options = optionsOf<SchemeOptions & { signature: string }>(command);
      const { scheme, hash } = options;
      const signature = new Uint8Array(await readInput(options.signature));
      const data = new Uint8Array(await readInput(file));
      const { publicKey } = await withApi(command, (daemon) => asClientOf(command, daemon).key(options.key));
      const valid = verifySignature({ key: publicKey, scheme, hash, signed: { data }, signature });
      if (options.json) sayJson({ key: options.key, scheme, hash, valid });
      if (!valid)
        throw new CommandError(
          'refused',
          `this is no valid ${scheme} signature with ${hash} by ${options.key}`,
        );
      if (!options.json) say('valid');
    });
