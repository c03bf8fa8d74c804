import { createHash } from 'node:crypto';
import { Command } from 'commander';
import { ApiError } from '../../client/api-client.ts';
import { newSignRequest, requestLifetimeMs } from '../../client/signed-request.ts';
import { verifySignature } from '../../keys/rsa/public-forms.ts';
import { fromHex } from '../../protocol/records/codec.ts';
import { clientOption, clientPassphraseOption, openClient } from '../clients.ts';
import { optionsOf, withApi } from '../context.ts';
import {
  clusterOf,
  findKeyFor,
  missingPeers,
  pinnedKey,
  publicKeyOption,
  type SchemeOptions,
  timeoutOption,
  withScheme,
} from '../keys.ts';
import { CommandError, progress, readInput, refuseBytesOnTerminal, sayBytes, sayJson } from '../terminal.ts';

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
      const { scheme, hash, timeout } = options;
      refuseBytesOnTerminal(options);
      await withApi(command, async (daemon) => {
        const digest = new Uint8Array(
          createHash(hash)
            .update(await readInput(file))
            .digest(),
        );
        const cluster = await clusterOf(command, daemon);
        const key = await findKeyFor(daemon, cluster, options.key, 'sign');
        const publicKey = await pinnedKey(key, options.publicKey);
        const client = await openClient(command, { key: key.name, operation: 'sign' }, daemon);
        const expiresAtMs = Date.now() + requestLifetimeMs;
        const asked = { cluster, key: fromHex(key.id), client, expiresAtMs };
        const request = newSignRequest({ ...asked, scheme, hash, digest });
        client.seed.fill(0);
        const answer = await daemon.sign(request, timeout).catch((error: unknown) => {
          throw error instanceof ApiError && error.code === 'not-enough-peers'
            ? missingPeers(error, 'sign again')
            : error;
        });
        const { signature } = answer;
        if (!verifySignature({ key: publicKey, scheme, hash, signed: { digest }, signature }))
          throw new CommandError(
            'failed',
            'the daemon returned a signature that is not valid; nothing was written',
          );
        const { epoch, signers } = answer;
        progress(`signed in epoch ${epoch} by ${signers.join(', ')}`);
        if (!options.json) return sayBytes(signature);
        const base64 = Buffer.from(signature).toString('base64');
        sayJson({ key: options.key, scheme, hash, epoch, signers, signature: base64 });
      });
    });
