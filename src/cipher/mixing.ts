import { xorBytes } from './counter-mode.ts';
import { type CipherName, localCipher } from './local-cipher.ts';

/**
 * The random bytes for the coefficients of a dealing (protocol §3, place 1): system randomness XOR the
 * keystream of the local cipher. The result is uniform when either of the two is uniform. So a weak cipher
 * does no harm, and a good cipher makes up for a weak random source.
 *
 * `key` is fresh, has the cipher's `keyBytes`, and serves for nothing else. The result is as long as
 * `systemRandom`.
 */
export function mixKeystream(cipher: CipherName, key: Uint8Array, systemRandom: Uint8Array): Uint8Array {
  return xorBytes(systemRandom, localCipher(cipher).keystream(key, systemRandom.length));
}
