import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type ApiClient, ApiError } from '../../api/client.ts';
import type { HashName } from '../../crypto/encoding.ts';
import { fromHex } from '../../protocol/codec.ts';
import { duration, optionsOf, withDaemon } from '../context.ts';
import { Decryption, unpadded } from '../decryption.ts';
import { openClientFile } from '../key-files.ts';
import { findKey, missingPeers, publicKeyOf, requestLifetimeMs } from '../keys.ts';
import { CommandError, progress, readInput, sayBytes, warn } from '../terminal.ts';

interface DecryptOptions {
  key: string;
  hash: HashName;
  label?: Uint8Array;
  client?: string;
  timeout: number;
}

/** Text as it stands; `hex:…` as OpenSSL takes a label. */
const labelBytes = (text: string): Uint8Array => {
  if (!text.startsWith('hex:')) return new Uint8Array(Buffer.from(text, 'utf8'));
  const digits = text.slice('hex:'.length);
  if (!/^([0-9a-f]{2})*$/i.test(digits))
    throw new InvalidArgumentError('after hex: come pairs of hex digits.');
  return fromHex(digits);
};

export const decryptCommand = (): Command =>
  new Command('decrypt')
    .description('decrypt a file (RSAES-OAEP); only this command sees the plaintext, on standard output')
    .argument('[file]', 'the raw ciphertext; standard input when left out or -', '-')
    .requiredOption('--key <name>', 'which key')
    .addOption(
      new Option('--hash <hash>', 'of the padding, as it was encrypted')
        .choices(['sha256', 'sha384', 'sha512'])
        .default('sha256'),
    )
    .option('--label <label>', 'as it was encrypted: text, or hex:… as OpenSSL takes it', labelBytes)
    .option('--client <file>', "client key (default: the home's clients/operator.key)")
    .option('--timeout <time>', 'how long to wait for enough peers', duration, 8000)
    .action(async (file: string, _, command: Command) => {
      const options = optionsOf<DecryptOptions>(command);
      await withDaemon(command, async (daemon, home) => {
        const client = openClientFile(options.client ?? join(home.clientsDir, 'operator.key'));
        const ciphertext = new Uint8Array(readInput(file));
        const key = await findKey(daemon, options.key);
        const { modulus } = publicKeyOf(key);
        const modulusBytes = Math.ceil(key.bits / 8);
        if (ciphertext.length !== modulusBytes)
          throw new CommandError(
            'refused',
            `a ciphertext for ${options.key} has ${modulusBytes} bytes, and this has ${ciphertext.length}; larger data goes under a key of its own, and that key under this one`,
          );
        const decryption = new Decryption({
          cluster: home.cluster,
          key: fromHex(key.id),
          client,
          ciphertext,
          expiresAtMs: Date.now() + requestLifetimeMs,
        });
        client.seed.fill(0);
        try {
          const block = await blockOf(decryption, daemon, options.timeout);
          const plain = unpadded(block, modulus, {
            hash: options.hash,
            label: options.label ?? new Uint8Array(),
          });
          if (plain === null)
            throw new CommandError(
              'refused',
              `this was not encrypted to ${options.key} with OAEP, ${options.hash} and this label; nothing was written`,
            );
          sayBytes(plain);
        } finally {
          decryption.forget();
        }
      });
    });

/** First any `k` partials; only when they do not combine, those of everybody with proofs, which name who lied. */
async function blockOf(decryption: Decryption, daemon: ApiClient, timeoutMs: number): Promise<bigint> {
  const endMs = performance.now() + timeoutMs;
  let culprits: string[] = [];
  for (const prove of [false, true]) {
    const leftMs = Math.max(1, Math.round(endMs - performance.now()));
    const answer = await daemon
      .decrypt(decryption.request, { prove, timeoutMs: leftMs })
      .catch((error: unknown) => {
        throw error instanceof ApiError && error.code === 'not-enough-peers'
          ? missingPeers(error, 'decrypt again')
          : error;
      });
    const combined = decryption.combine(answer);
    culprits = prove ? combined.culprits : [];
    if (culprits.length > 0) warn(`${culprits.join(', ')} gave a false partial; look at that machine`);
    if (combined.block !== null) {
      const used = answer.partials.map(({ name }) => name).filter((name) => !culprits.includes(name));
      progress(`decrypted in epoch ${answer.epoch} with ${used.slice(0, answer.threshold).join(', ')}`);
      return combined.block;
    }
    if (!prove) progress('the partials do not combine: asking everybody again, with proofs');
  }
  const who = culprits.length === 0 ? '' : ` (false: ${culprits.join(', ')})`;
  throw new CommandError(
    'not-enough-peers',
    `too few of the peers that answered gave a true partial${who}; start more peers and decrypt again`,
  );
}
