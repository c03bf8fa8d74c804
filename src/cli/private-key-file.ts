/** Reads an existing RSA private key for `key import`: a PEM file with PKCS#1 or PKCS#8, encrypted or not. */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { bitLength, bytesToInteger } from '../crypto/integers.ts';
import type { Primes } from '../keys/rsa/creation.ts';
import { pemPassphrase } from './passphrases.ts';
import { CommandError, othersMayRead, readInput, warn } from './terminal.ts';

const modulusBitsRange = { min: 2048, max: 4096 };

/**
 * The primes and the public exponent of the key in `file`. The primes are secret.
 * @param passphraseFile its first line is the passphrase of an encrypted file
 * @throws CommandError `failed` for a file that cannot be read; `refused` for a wrong passphrase, and for a
 * key that no group can keep
 */
export async function readPrivateKey(
  file: string,
  passphraseFile: string | undefined,
): Promise<{ primes: Primes; exponent: bigint }> {
  if (othersMayRead(file)) warn(`others on this machine may read ${file}; run: chmod 600 ${file}`);
  const pem = await readInput(file);
  try {
    return secretsOf(await opened(pem, file, passphraseFile), file);
  } finally {
    pem.fill(0);
  }
}

async function opened(pem: Buffer, file: string, passphraseFile: string | undefined): Promise<KeyObject> {
  // The search looks at bytes: a string with an unencrypted key could not be wiped.
  const has = (text: string): boolean => pem.includes(text);
  if (!['', 'RSA ', 'ENCRYPTED '].some((kind) => has(`-----BEGIN ${kind}PRIVATE KEY-----`)))
    throw new CommandError('failed', `${file} holds no private key in PEM (PKCS#1 or PKCS#8)`);
  const isEncrypted = has('-----BEGIN ENCRYPTED') || has('\nProc-Type: 4,ENCRYPTED');
  const secret = isEncrypted ? { passphrase: await pemPassphrase(passphraseFile, file) } : {};
  try {
    return createPrivateKey({ key: pem, format: 'pem', ...secret });
  } catch {
    throw isEncrypted
      ? new CommandError('refused', `the passphrase does not open ${file}; try again with the right one`)
      : new CommandError('failed', `${file} is damaged: its private key cannot be read`);
  }
}

function secretsOf(key: KeyObject, file: string): { primes: Primes; exponent: bigint } {
  const jwk = key.asymmetricKeyType === 'rsa' ? key.export({ format: 'jwk' }) : {};
  const { n, e, p, q } = jwk;
  if (n === undefined || e === undefined || p === undefined || q === undefined)
    throw new CommandError('refused', `${file} is no RSA key; a group keeps only RSA keys`);
  const number = (text: string): bigint => bytesToInteger(Buffer.from(text, 'base64url'));
  const primes = { p: number(p), q: number(q) };
  if (primes.p * primes.q !== number(n))
    throw new CommandError('refused', `the modulus in ${file} is not the product of two primes`);
  const bits = bitLength(number(n));
  if (bits < modulusBitsRange.min || bits > modulusBitsRange.max)
    throw new CommandError(
      'refused',
      `the key in ${file} has ${bits} bits; a group keeps ${modulusBitsRange.min} to ${modulusBitsRange.max}`,
    );
  return { primes, exponent: number(e) };
}
