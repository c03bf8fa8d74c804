import { createHash } from 'node:crypto';
import { Command } from 'commander';
import { checkAsked } from '../../client/group-signer.ts';
import { rsaSignature } from '../../keys/rsa/operations.ts';
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
      const data = await readInput(file);
      const key = await withApi(command, (daemon) => asClientOf(command, daemon).key(options.key));
      const digest = new Uint8Array(createHash(hash).update(data).digest());
      // The salt is in the signature.
      const asked = rsaSignature({ scheme, hash, digest }, (length) => new Uint8Array(length));
      const operation = checkAsked(key, 'sign', asked);
      const valid = operation.verify({ publicBytes: key.public, asked, result: signature });
      if (options.json) sayJson({ key: options.key, scheme, hash, valid });
      if (!valid)
        throw new CommandError(
          'refused',
          `this is no valid ${scheme} signature with ${hash} by ${options.key}`,
        );
      if (!options.json) say('valid');
    });
