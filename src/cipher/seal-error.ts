import { CodedError } from '../crypto/errors.ts';

export type SealErrorCode =
  /** Not one of our sealed formats, or cut short. */
  | 'malformed'
  /** Longer than the format allows. */
  | 'too-large'
  /** Names a cipher that this version does not know. */
  | 'unknown-cipher'
  /** A public key of small order: the shared secret would be zero and known to everybody. */
  | 'weak-public-key'
  /** Asks for more, or less, passphrase work than the bounds allow. */
  | 'work-out-of-bounds'
  /** Changed, or sealed for another key, passphrase or context. */
  | 'not-authentic';

/** Something sealed cannot be opened, or not be sealed for this receiver. The message never holds a secret. */
export class SealError extends CodedError<SealErrorCode> {
  override readonly name = 'SealError';
}
