import { Command } from 'commander';
import { type ApiClient, ApiError } from '../../client/api-client.ts';
import { Decryption } from '../../client/decryption.ts';
import { requestLifetimeMs } from '../../client/signed-request.ts';
import { fromHex } from '../../protocol/records/codec.ts';
import { clientOption, clientPassphraseOption, openClient } from '../clients.ts';
import { optionsOf, withApi } from '../context.ts';
import { clusterOf, findKeyFor, missingPeers, pinnedKey, publicKeyOption, timeoutOption } from '../keys.ts';
import { type PaddingOptions, sayPlaintext, withPadding } from '../plaintext.ts';
import { CommandError, progress, readInput, refuseBytesOnTerminal, warn } from '../terminal.ts';

interface DecryptOptions extends PaddingOptions {
  key: string;
  timeout: number;
  publicKey?: string;
}

export const decryptCommand = (): Command =>
  withPadding(new Command('decrypt'))
    .description(
      'decrypt a file (RSAES-OAEP); only this command sees the plaintext, on standard output (with --json in base64)',
    )
    .argument('[file]', 'the raw ciphertext; standard input when left out or -', '-')
    .requiredOption('--key <name>', 'which key')
    .addOption(clientOption())
    .addOption(clientPassphraseOption())
    .addOption(publicKeyOption())
    .addOption(timeoutOption())
    .action(async (file: string, _, command: Command) => {
      const options = optionsOf<DecryptOptions>(command);
      refuseBytesOnTerminal(options);
      await withApi(command, async (daemon) => {
        const ciphertext = new Uint8Array(await readInput(file));
        const cluster = await clusterOf(command, daemon);
        const key = await findKeyFor(daemon, cluster, options.key, 'decrypt');
        const publicKey = await pinnedKey(key, options.publicKey);
        const modulusBytes = Math.ceil(key.bits / 8);
        if (ciphertext.length !== modulusBytes)
          throw new CommandError(
            'refused',
            `a ciphertext for ${options.key} has ${modulusBytes} bytes, and this has ${ciphertext.length}; larger data goes under a key of its own, and that key under this one`,
          );
        const client = await openClient(command, { key: key.name, operation: 'decrypt' }, daemon);
        const expiresAtMs = Date.now() + requestLifetimeMs;
        const asked = { cluster, key: fromHex(key.id), publicKey, client, expiresAtMs };
        const decryption = Decryption.ask({ ...asked, ciphertext });
        client.seed.fill(0);
        try {
          const block = await blockOf(decryption, daemon, options.timeout);
          sayPlaintext(block, { name: key.name, modulus: publicKey.modulus }, options);
        } finally {
          decryption.forget();
        }
      });
    });

/**
 * First any `k` partials; only when they do not combine, those of everybody with proofs, which name who lied.
 * The daemon waits for the slow only a moment: asked once more, they have their answer ready.
 */
async function blockOf(decryption: Decryption, daemon: ApiClient, timeoutMs: number): Promise<bigint> {
  const endMs = performance.now() + timeoutMs;
  let answered = 0;
  for (let prove = false; ; prove = true) {
    const leftMs = Math.max(1, Math.round(endMs - performance.now()));
    const answer = await daemon
      .decrypt(decryption.request, { prove, timeoutMs: leftMs })
      .catch((error: unknown) => {
        throw error instanceof ApiError && error.code === 'not-enough-peers'
          ? missingPeers(error, 'decrypt again')
          : error;
      });
    const { block, culprits, spoilers } = decryption.combine(answer);
    if (block !== null) {
      const proven = answer.partials.map(({ name }) => name).filter((name) => !culprits.includes(name));
      warnOf(new Set([...culprits, ...spoilers]));
      progress(`decrypted in epoch ${answer.epoch} with ${proven.slice(0, answer.threshold).join(', ')}`);
      return block;
    }
    if (!prove) {
      progress('the partials do not combine: asking everybody again, with proofs');
      continue;
    }
    if (answer.partials.length <= answered || performance.now() >= endMs) {
      warnOf(new Set(culprits));
      const who = culprits.length === 0 ? '' : ` (false: ${culprits.join(', ')})`;
      throw new CommandError(
        'not-enough-peers',
        `too few of the peers that answered gave a true partial${who}; start more peers and decrypt again`,
      );
    }
    answered = answer.partials.length;
  }
}

function warnOf(liars: ReadonlySet<string>): void {
  if (liars.size > 0) warn(`${[...liars].join(', ')} gave a false partial; look at that machine`);
}
