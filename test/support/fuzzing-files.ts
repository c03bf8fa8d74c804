/**
 * Feeds damaged files to every reader of files. A reader takes the file, or refuses it with one line and an
 * error of ours.
 */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SealError } from '../../src/cipher/seal-error.ts';
import {
  newOperatorKey,
  openClientKey,
  openOperatorFile,
  operatorPublicKey,
  readClientFile,
} from '../../src/cli/key-files.ts';
import { orderLine, readOrderFile } from '../../src/cli/orders.ts';
import { readPrivateKey } from '../../src/cli/private-key-file.ts';
import { CommandError } from '../../src/cli/terminal.ts';
import { ClientError } from '../../src/client/client-error.ts';
import { clientFileText, newClientFile } from '../../src/client/client-file.ts';
import { Decryption } from '../../src/client/decryption.ts';
import { newSigningKey } from '../../src/client/signing-key.ts';
import { emptyHead, nextLine, parseLine } from '../../src/node/audit/entry.ts';
import { HomeError } from '../../src/node/home/home.ts';
import { parseSettings, SettingsError, settingsText } from '../../src/node/settings.ts';
import type { FuzzCounts } from './fuzzing.ts';
import { Mutator } from './mutations.ts';

const passphrase = 'a passphrase of a test';
const known = [CommandError, ClientError, HomeError, SettingsError, SealError];

interface Reader {
  where: string;
  text: string;
  read: (file: string, text: string) => unknown;
  /** The part of all inputs that this reader gets. Slow readers get few. */
  part: number;
}

async function readers(mutator: Mutator, passphraseFile: string): Promise<Reader[]> {
  const client = newSigningKey();
  const { fileText } = await newOperatorKey(passphrase, 10);
  const sealedClient = await newClientFile({ name: 'ci', order: 1, passphrase, log2N: 10 });
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const pem = (secret: object): string =>
    privateKey.export({ type: 'pkcs8', format: 'pem', ...secret }).toString();
  const order = {
    body: {
      ...{ v: 1 as const, cluster: mutator.bytes(32), ancestor: mutator.bytes(32) },
      ...{ ancestorEpoch: 3, sequence: 4 },
      actions: [{ type: 'evict' as const, index: 2 }],
    },
    signatures: [],
  };
  const decryption = Decryption.ask({
    ...{ client, cluster: mutator.bytes(32), key: mutator.bytes(32), kind: 'rsa', pem: null },
    ...{ asked: { ciphertext: mutator.bytes(256) }, expiresAtMs: 1_800_000_000_000 },
  });
  const { text: auditLine } = nextLine(emptyHead, { event: 'clock', stepMs: 7 }, 0);
  return [
    { where: 'settings', text: settingsText({ name: 'a' }), read: (_, text) => parseSettings(text), part: 1 },
    {
      where: 'client keys',
      text: clientFileText({
        name: 'ci',
        publicKey: client.publicKey,
        order: 1,
        secret: { seed: client.seed },
      }),
      read: readClientFile,
      part: 1,
    },
    {
      where: 'sealed client keys',
      text: sealedClient.text,
      read: (file) => openClientKey(file, async () => passphrase),
      part: 0.1,
    },
    { where: 'operator keys, unopened', text: fileText, read: operatorPublicKey, part: 1 },
    {
      where: 'operator keys',
      text: fileText,
      read: (file) => openOperatorFile(file, passphrase),
      part: 0.1,
    },
    { where: 'orders', text: orderLine(order), read: readOrderFile, part: 1 },
    {
      where: 'lines of an audit log',
      text: auditLine,
      read: (_, text) => parseLine(text),
      part: 1,
    },
    {
      where: 'private keys in PEM',
      text: pem({}),
      read: (file) => readPrivateKey(file, undefined),
      part: 0.2,
    },
    {
      where: 'encrypted private keys in PEM',
      text: pem({ cipher: 'aes-256-cbc', passphrase }),
      read: (file) => readPrivateKey(file, passphraseFile),
      part: 0.2,
    },
    {
      where: 'one-time keys of decryptions',
      text: decryption.saved(),
      read: (_, text) => Decryption.resume(text),
      part: 1,
    },
  ];
}

/** Throws when a reader fails in another way. `counts` gets the number of inputs of each reader. */
export async function fuzzFiles(seed: number, inputs: number, counts: FuzzCounts): Promise<void> {
  const mutator = new Mutator(seed);
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-fuzz-'));
  try {
    const passphraseFile = join(dir, 'passphrase');
    writeFileSync(passphraseFile, passphrase, { mode: 0o600 });
    const all = await readers(mutator, passphraseFile);
    const texts = all.map(({ text }) => new Uint8Array(Buffer.from(text, 'utf8')));
    const file = join(dir, 'file');
    for (const [at, { where, read, part }] of all.entries()) {
      const counted = counts.get(where) ?? { inputs: 0, refused: 0 };
      counts.set(where, counted);
      for (let count = 0; count < (inputs * part) / all.length; count += 1) {
        counted.inputs += 1;
        const { bytes } = mutator.mutate(texts[at] as Uint8Array, texts);
        writeFileSync(file, bytes, { mode: 0o600 });
        try {
          await read(file, Buffer.from(bytes).toString('utf8'));
        } catch (error) {
          counted.refused += 1;
          assert(
            known.some((kind) => error instanceof kind),
            `${where}: ${(error as Error).stack}`,
          );
          const { message } = error as Error;
          assert(!/[\r\n]/.test(message) && message.length < 400, `${where}: more than a line: ${message}`);
        }
      }
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
}
