import { createHash, randomBytes } from 'node:crypto';
import { Command } from 'commander';
import { GroupSigner } from '../../client/group-signer.ts';
import { rsaSignature } from '../../keys/rsa/operations.ts';
import { clientOption, clientPassphraseOption, openClient } from '../clients.ts';
import { optionsOf, withApi } from '../context.ts';
import {
  asClientOf,
  checkPinned,
  publicKeyOption,
  type SchemeOptions,
  timeoutOption,
  withScheme,
} from '../keys.ts';
import { progress, readInput, refuseBytesOnTerminal, sayBytes, sayJson } from '../terminal.ts';

interface SignOptions extends SchemeOptions {
  timeout: number;
  publicKey?: string;
}

export const signCommand = (): Command =>
  withScheme(new Command('sign'))
    .description('sign a file; the raw signature goes to standard output (with --json in base64)')
    .argument('[file]', 'standard input when left out or -', '-')
    .addOption(clientOption())
    .addOption(clientPassphraseOption())
    .addOption(publicKeyOption())
    .addOption(timeoutOption())
    .action(async (file: string, _, command: Command) => {
      const options = optionsOf<SignOptions>(command);
      const { scheme, hash, timeout: timeoutMs } = options;
      refuseBytesOnTerminal(options);
      await withApi(command, async (daemon) => {
        const digest = new Uint8Array(
          createHash(hash)
            .update(await readInput(file))
            .digest(),
        );
        const daemons = asClientOf(command, daemon);
        const key = await daemons.key(options.key, 'sign');
        await checkPinned(key, options.publicKey);
        const client = await openClient(command, { key: key.name, operation: 'sign' }, daemon);
        const signer = new GroupSigner({ daemons, client, timeoutMs });
        const { signature, epoch, signers } = await signer
          .sign({ key, asked: rsaSignature({ scheme, hash, digest }, randomBytes) })
          .finally(() => client.seed.fill(0));
        progress(`signed in epoch ${epoch} by ${signers.join(', ')}`);
        if (!options.json) return sayBytes(signature);
        const base64 = Buffer.from(signature).toString('base64');
        sayJson({ key: options.key, scheme, hash, epoch, signers, signature: base64 });
      });
    });
