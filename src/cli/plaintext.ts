/** The padding under which something was encrypted (RSAES-OAEP), and the plaintext that comes out of it. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { unpadded } from '../client/decryption.ts';
import type { HashName } from '../keys/rsa/encoding.ts';
import { fromHex } from '../protocol/records/codec.ts';
import { hashNameSchema } from '../protocol/records/use-request.ts';
import { CommandError, sayBytes, sayJson } from './terminal.ts';

export interface PaddingOptions {
  json: boolean;
  hash: HashName;
  label?: Uint8Array;
}

/** Text as it stands; `hex:…` as OpenSSL takes a label. */
const labelBytes = (text: string): Uint8Array => {
  if (!text.startsWith('hex:')) return new Uint8Array(Buffer.from(text, 'utf8'));
  const digits = text.slice('hex:'.length);
  if (!/^([0-9a-f]{2})*$/i.test(digits))
    throw new InvalidArgumentError('after hex: come pairs of hex digits.');
  return fromHex(digits);
};

export const withPadding = (command: Command): Command =>
  command
    .addOption(
      new Option('--hash <hash>', 'of the padding, as it was encrypted')
        .choices(hashNameSchema.options)
        .default('sha256'),
    )
    .option('--label <label>', 'as it was encrypted: text, or hex:… as OpenSSL takes it', labelBytes);

/**
 * Writes the plaintext to standard output, with --json in base64. Throws `CommandError('refused')` when there
 * is none, whatever the defect.
 */
export function sayPlaintext(
  block: bigint,
  key: { name: string; modulus: bigint },
  { hash, label, json }: PaddingOptions,
): void {
  const plain = unpadded(block, key.modulus, { hash, label: label ?? new Uint8Array() });
  if (plain === null)
    throw new CommandError(
      'refused',
      `this was not encrypted to ${key.name} with OAEP, ${hash} and this label; nothing was written`,
    );
  if (json) sayJson({ key: key.name, plaintext: Buffer.from(plain).toString('base64') });
  else sayBytes(plain);
}
