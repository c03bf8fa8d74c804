import { createHash, randomBytes } from 'node:crypto';
import { Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { routes } from '../../api/routes.ts';
import { Decryption } from '../../client/decryption.ts';
import { newSignRequest, requestLifetimeMs } from '../../client/signed-request.ts';
import type { SigningKey } from '../../client/signing-key.ts';
import { rsa } from '../../keys/rsa/kind.ts';
import { rsaSignature } from '../../keys/rsa/operations.ts';
import { writePrivateFile } from '../../node/home/home.ts';
import { fromHex } from '../../protocol/records/codec.ts';
import { limits } from '../../protocol/records/limits.ts';
import { clientOption, clientPassphraseOption, openClient } from '../clients.ts';
import { duration, optionsOf, withApi } from '../context.ts';
import {
  asClientOf,
  checkPinned,
  publicKeyOption,
  readPublicKey,
  type SchemeOptions,
  withScheme,
} from '../keys.ts';
import { CommandError, progress, readInput, say } from '../terminal.ts';

interface SignRequestOptions extends SchemeOptions {
  digest?: string;
  decrypt?: string;
  for: number;
  cluster?: string;
  publicKey?: string;
}

const hexDigits = (text: string): string => {
  if (!/^([0-9a-f]{2})+$/.test(text)) throw new InvalidArgumentError('write it in lower-case hex.');
  return text;
};

export const clientSignRequestCommand = (): Command =>
  withScheme(new Command('sign-request'))
    .description(
      'a signed request to use a key, as JSON that any program can post to /v1/sign or /v1/decrypt',
    )
    .argument('[file]', 'what to sign, or to decrypt; standard input when left out or -', '-')
    .option('--digest <hex>', 'sign this digest instead of a file', hexDigits)
    .option(
      '--decrypt <file>',
      'ask for a decryption; the one-time key that opens the answer goes to this file',
    )
    .addOption(
      new Option('--for <time>', 'how long the request is good, 5m at most')
        .argParser(duration)
        .default(requestLifetimeMs, '2m'),
    )
    .option('--cluster <hex>', 'with the id of a key for --key: no daemon is asked for anything', hexDigits)
    .addOption(clientOption())
    .addOption(clientPassphraseOption())
    .addOption(publicKeyOption())
    .action(async (file: string, _, command: Command) => {
      const options = optionsOf<SignRequestOptions>(command);
      const { scheme, hash, for: lifetimeMs } = options;
      if (lifetimeMs > limits.useRequestLifetimeMs)
        throw new CommandError('usage', 'peers take no request that is good for more than 5 minutes');
      const { pem, client, ...ids } = await keyToUse(command, options);
      const asked = { ...ids, client, expiresAtMs: Date.now() + lifetimeMs };
      if (options.decrypt === undefined) {
        const digest =
          options.digest === undefined
            ? new Uint8Array(
                createHash(hash)
                  .update(await readInput(file))
                  .digest(),
              )
            : fromHex(options.digest);
        const request = newSignRequest({
          ...asked,
          asked: rsaSignature({ scheme, hash, digest }, randomBytes),
        });
        say(JSON.stringify(z.encode(routes.sign.body.pick({ request: true }), { request })));
      } else {
        const decryption = Decryption.ask({
          ...asked,
          pem,
          asked: { ciphertext: new Uint8Array(await readInput(file)) },
        });
        writePrivateFile(options.decrypt, decryption.saved());
        const { request } = decryption;
        say(JSON.stringify(z.encode(routes.decrypt.body.pick({ request: true }), { request })));
        decryption.forget();
        progress(`open the answer with: holdfast client open --secret ${options.decrypt}`);
      }
      client.seed.fill(0);
    });

/**
 * The key to use, and the client that asks. By name the daemon gives the key. With `--cluster` the ids are
 * taken as they are, and no daemon is asked.
 * @throws CommandError, ApiError, HomeError, ClientError
 */
async function keyToUse(
  command: Command,
  { key, cluster, decrypt, publicKey: file }: SignRequestOptions,
): Promise<{ cluster: Uint8Array; key: Uint8Array; kind: string; pem: string | null; client: SigningKey }> {
  const operation = decrypt === undefined ? 'sign' : 'decrypt';
  const wanted = { key, operation } as const;
  if (cluster !== undefined) {
    if (!/^[0-9a-f]{64}$/.test(cluster) || !/^[0-9a-f]{64}$/.test(key))
      throw new CommandError(
        'usage',
        'with --cluster, both it and --key are ids of 64 hex digits; see holdfast status --json and key list --json',
      );
    if (file !== undefined && decrypt === undefined)
      throw new CommandError(
        'usage',
        'with --cluster no daemon says what the key is, so a signature has nothing to compare with --public-key',
      );
    const pem = file === undefined ? null : await readPublicKey(file);
    const client = await openClient(command, wanted, null);
    return { cluster: fromHex(cluster), key: fromHex(key), kind: rsa.name, pem, client };
  }
  return withApi(command, async (daemon) => {
    const daemons = asClientOf(command, daemon);
    const found = await daemons.key(key, operation);
    await checkPinned(found, file);
    const client = await openClient(command, wanted, daemon);
    const { id, kind, pem } = found;
    return { cluster: await daemons.cluster(), key: id, kind, pem, client };
  });
}
