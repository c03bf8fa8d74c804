/** One exponentiation: the engine beside the OpenSSL call that it wraps. */
import { constants, createDiffieHellman, privateEncrypt } from 'node:crypto';
import { bytesToInteger, integerToBytes } from '../../src/crypto/integers.ts';
import { modPow, windowPow } from '../../src/keys/rsa/engine.ts';
import { ms, race, table, times } from './measure.ts';
import { type Bits, primesOf, random, wholeKey } from './sample.ts';

export function benchEngine(bits: Bits): void {
  const { p, q } = primesOf(bits);
  const modulus = p * q;
  const exponent = bytesToInteger(random(bits / 8)) | (1n << BigInt(bits - 1));
  const base = bytesToInteger(random(bits / 8)) % modulus;
  const bytes = (n: bigint): Buffer => Buffer.from(integerToBytes(n, bits / 8));
  const baseBytes = bytes(base);
  const plain = createDiffieHellman(bytes(modulus), 2);
  plain.setPrivateKey(bytes(exponent));
  const raw = { key: wholeKey(bits), padding: constants.RSA_NO_PADDING };
  const found = race(40, {
    plain: () => plain.computeSecret(baseBytes),
    engine: () => modPow(base, exponent, modulus),
    bigint: () => windowPow(base, exponent, modulus),
    whole: () => privateEncrypt(raw, baseBytes),
  });
  const row = (name: string, value: number): string[] => [name, ms(value), times(value / found.plain)];
  table(
    `One exponentiation, modulus and exponent of ${bits} bits`,
    ['', 'ms', 'against OpenSSL'],
    [
      row('OpenSSL alone, bytes in and out (BN_mod_exp_mont_consttime)', found.plain),
      row('Holdfast’s engine (the same, bigint in and out)', found.engine),
      row('BigInt with 4-bit windows (the fallback)', found.bigint),
      row('OpenSSL’s RSA with the whole key (CRT)', found.whole),
    ],
  );
}
