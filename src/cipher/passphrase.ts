import { type BinaryLike, type ScryptOptions, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { xchacha20poly1305 } from '@noble/ciphers/chacha.js';
import { assertKey32, checkSealedBytes, tagBytes } from './layers.ts';
import { SealError } from './seal-error.ts';

/*
 * A file that a person opens with a passphrase, such as the operator's key. Lengths are in bytes.
 *
 *     version (1) ‖ log₂N (1) ‖ salt (32) ‖ ciphertext ‖ tag (16)
 *
 * The key comes from scrypt (RFC 7914) with r = 8 and p = 1. XChaCha20-Poly1305 authenticates the header too.
 * The salt is fresh for each file, so each key seals once, and the nonce is zero.
 */

const saltBytes = 32;
const headerBytes = 2 + saltBytes;
const plaintextBytesMax = 1024 * 1024;
/** 128 MiB of memory, and about half a second of time. */
const defaultLog2N = 17;
/** The work that a file may ask of the machine that opens it: from 1 MiB to 256 MiB of memory. */
const log2NMin = 10;
const log2NMax = 18;

const nonce = new Uint8Array(24);
const runScrypt = promisify<BinaryLike, BinaryLike, number, ScryptOptions, Buffer>(scrypt);

/**
 * Seals `plaintext` (at most 1 MiB) under a passphrase. `entropy` is 32 uniformly random bytes, for this file
 * only. `log2N` is the work of scrypt. Only tests lower it.
 * @throws SealError `too-large` or `work-out-of-bounds` (as a rejection)
 */
export async function sealWithPassphrase(
  passphrase: string,
  plaintext: Uint8Array,
  entropy: Uint8Array,
  { log2N = defaultLog2N }: { readonly log2N?: number } = {},
): Promise<Uint8Array> {
  assertKey32(entropy);
  if (plaintext.length > plaintextBytesMax) {
    throw new SealError('too-large', `a passphrase seals at most ${plaintextBytesMax} bytes`);
  }
  const header = Buffer.concat([Uint8Array.of(1, log2N), entropy]);
  const key = await passphraseKey(passphrase, entropy, log2N);
  const sealed = xchacha20poly1305(key, nonce, header).encrypt(plaintext);
  key.fill(0);
  return new Uint8Array(Buffer.concat([header, sealed]));
}

/**
 * Opens a file that `sealWithPassphrase` made. The file is not trusted, so its work is bounded.
 * @throws SealError (as a rejection) `not-authentic` for a wrong passphrase or a changed file, `malformed`,
 * `too-large`, `work-out-of-bounds`
 */
export async function openWithPassphrase(passphrase: string, sealed: Uint8Array): Promise<Uint8Array> {
  checkSealedBytes(sealed, headerBytes + tagBytes, plaintextBytesMax);
  const [version, log2N] = sealed;
  if (version !== 1 || log2N === undefined) {
    throw new SealError('malformed', 'this is not a file sealed with a passphrase');
  }
  const header = sealed.subarray(0, headerBytes);
  const key = await passphraseKey(passphrase, header.subarray(2), log2N);
  try {
    return xchacha20poly1305(key, nonce, header).decrypt(sealed.subarray(headerBytes));
  } catch {
    throw new SealError('not-authentic', 'the passphrase is wrong, or the file was changed');
  } finally {
    key.fill(0);
  }
}

async function passphraseKey(passphrase: string, salt: Uint8Array, log2N: number): Promise<Uint8Array> {
  if (!Number.isInteger(log2N) || log2N < log2NMin || log2N > log2NMax) {
    throw new SealError('work-out-of-bounds', `passphrase work is between 2^${log2NMin} and 2^${log2NMax}`);
  }
  const cost = 2 ** log2N;
  // Another keyboard may give the same passphrase in another Unicode form.
  return runScrypt(passphrase.normalize('NFKC'), salt, 32, { N: cost, r: 8, p: 1, maxmem: 2 * 1024 * cost });
}
