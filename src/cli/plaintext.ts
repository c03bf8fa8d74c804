/** The padding of a ciphertext (RSAES-OAEP) as options, and the output of a plaintext. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type HashName, hashNames } from '../keys/rsa/encoding.ts';
import type { OaepPadding } from '../keys/rsa/operations.ts';
import { fromHex } from '../protocol/records/codec.ts';
import { sayBytes, sayJson } from './terminal.ts';

export interface PaddingOptions {
  json: boolean;
  hash: HashName;
  label?: Uint8Array;
}

/** Takes text as it is, or `hex:…` as OpenSSL takes a label. */
const labelBytes = (text: string): Uint8Array => {
  if (!text.startsWith('hex:')) return new Uint8Array(Buffer.from(text, 'utf8'));
  const digits = text.slice('hex:'.length);
  if (!/^([0-9a-f]{2})*$/i.test(digits))
    throw new InvalidArgumentError('after hex: come pairs of hex digits.');
  return fromHex(digits);
};

/** Adds the options that describe the padding. */
export const withPadding = (command: Command): Command =>
  command
    .addOption(
      new Option('--hash <hash>', 'of the padding, as it was encrypted').choices(hashNames).default('sha256'),
    )
    .option('--label <label>', 'as it was encrypted: text, or hex:… as OpenSSL takes it', labelBytes);

/** The padding that the options describe. A label that is left out is empty. */
export const paddingOf = ({ hash, label }: PaddingOptions): OaepPadding => ({
  hash,
  label: label ?? new Uint8Array(),
});

/** Writes the plaintext to standard output: raw, or in base64 with `--json`. */
export function sayPlaintext(plaintext: Uint8Array, key: string, { json }: PaddingOptions): void {
  if (json) sayJson({ key, plaintext: Buffer.from(plaintext).toString('base64') });
  else sayBytes(plaintext);
}
