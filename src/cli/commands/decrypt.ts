import { Command } from 'commander';
import { checkAsked, GroupSigner } from '../../client/group-signer.ts';
import { clientOption, clientPassphraseOption, openClient } from '../clients.ts';
import { optionsOf, withApi } from '../context.ts';
import { asClientOf, checkPinned, publicKeyOption, timeoutOption } from '../keys.ts';
import { type PaddingOptions, paddingOf, sayPlaintext, withPadding } from '../plaintext.ts';
import { progress, readInput, refuseBytesOnTerminal } from '../terminal.ts';

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
        const daemons = asClientOf(command, daemon);
        const key = await daemons.key(options.key, 'decrypt');
        await checkPinned(key, options.publicKey);
        const asked = { ciphertext };
        // This check comes before the passphrase is asked for.
        checkAsked(key, 'decrypt', asked);
        const client = await openClient(command, { key: key.name, operation: 'decrypt' }, daemon);
        const signer = new GroupSigner({ daemons, client, timeoutMs: options.timeout });
        const made = await signer
          .decrypt({ key, asked, padding: paddingOf(options) })
          .finally(() => client.seed.fill(0));
        progress(`decrypted in epoch ${made.epoch} with ${made.holders.join(', ')}`);
        sayPlaintext(made.plaintext, key.name, options);
      });
    });
