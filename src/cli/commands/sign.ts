import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Command } from 'commander';
import { ApiError } from '../../api/client.ts';
import { verifySignature } from '../../crypto/public-key-formats.ts';
import { fromHex } from '../../protocol/codec.ts';
import { digestBytes, signUse } from '../../protocol/use-request.ts';
import { duration, optionsOf, withDaemon } from '../context.ts';
import { openClientFile } from '../key-files.ts';
import {
  findKey,
  missingPeers,
  publicKeyOf,
  requestLifetimeMs,
  type SchemeOptions,
  withScheme,
} from '../keys.ts';
import { CommandError, progress, readInput, sayBytes } from '../terminal.ts';

interface SignOptions extends SchemeOptions {
  client?: string;
  timeout: number;
}

export const signCommand = (): Command =>
  withScheme(new Command('sign'))
    .description('sign a file; the raw signature goes to standard output')
    .argument('[file]', 'standard input when left out or -', '-')
    .option('--client <file>', "client key (default: the home's clients/operator.key)")
    .option('--timeout <time>', 'how long to wait for enough peers', duration, 8000)
    .action(async (file: string, _, command: Command) => {
      const options = optionsOf<SignOptions>(command);
      const { scheme, hash, timeout } = options;
      await withDaemon(command, async (daemon, home) => {
        const client = openClientFile(options.client ?? join(home.clientsDir, 'operator.key'));
        const digest = new Uint8Array(createHash(hash).update(readInput(file)).digest());
        const key = await findKey(daemon, options.key);
        const request = signUse(client.seed, {
          cluster: home.cluster,
          client: client.publicKey,
          key: fromHex(key.id),
          operation: 'sign',
          scheme,
          hash,
          digest,
          salt: new Uint8Array(randomBytes(scheme === 'pss' ? digestBytes[hash] : 0)),
          nonce: new Uint8Array(randomBytes(16)),
          expiresAtMs: Date.now() + requestLifetimeMs,
        });
        client.seed.fill(0);
        const answer = await daemon.sign(request, timeout).catch((error: unknown) => {
          throw error instanceof ApiError && error.code === 'not-enough-peers'
            ? missingPeers(error, 'sign again')
            : error;
        });
        const { signature } = answer;
        if (!verifySignature({ key: publicKeyOf(key), scheme, hash, signed: { digest }, signature }))
          throw new CommandError(
            'failed',
            'the daemon returned a signature that is not valid; nothing was written',
          );
        progress(`signed in epoch ${answer.epoch} by ${answer.signers.join(', ')}`);
        sayBytes(signature);
      });
    });
