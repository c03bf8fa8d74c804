import { xorBytes } from './counter-mode.ts';
import { type CipherName, localCipher } from './local-cipher.ts';

/**
 * The bytes that a dealing's coefficients are drawn from (protocol §3, place 1): system randomness XOR the local
 * cipher's keystream under a fresh key. The result is uniform as soon as either of the two is, so a weak cipher
 * takes nothing away, and a good one covers for a weak random source.
 *
 * `key`: fresh, of the cipher's `keyBytes`, used for nothing else. Result: as long as `systemRandom`.
 */
export function mixKeystream(cipher: CipherName, key: Uint8Array, systemRandom: Uint8Array): Uint8Array {
  return xorBytes(systemRandom, localCipher(cipher).keystream(key, systemRandom.length));
}
