/** The setting of an RSA key: its public values as numbers, and the parameters of its sharing. */
import { EncodingError, KeyError } from '../../crypto/errors.ts';
import { bitLength } from '../../crypto/integers.ts';
import type { KeySetting } from '../kind/shared-key.ts';
import { decodePublic } from './numbers.ts';
import type { KeyPublic, SharingParameters } from './sharing.ts';

/** Public values, or `KeyError` for bytes that are none. */
export function publicOf(bytes: Uint8Array): KeyPublic {
  try {
    return decodePublic(bytes);
  } catch (error) {
    if (error instanceof EncodingError) throw new KeyError(error.message);
    throw error;
  }
}

export const parametersOf = ({ threshold, membersMax, ...setting }: KeySetting): SharingParameters => ({
  membersMax,
  threshold,
  modulusBits: bitLength(publicOf(setting.public).modulus),
});
