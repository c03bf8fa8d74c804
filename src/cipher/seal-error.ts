import { CodedError } from '../crypto/errors.ts';

/** The reasons why a text cannot be sealed or opened. */
export type SealErrorCode =
  /** The text is in no sealed format of Holdfast, or it is cut short. */
  | 'malformed'
  /** The text is longer than the format allows. */
  | 'too-large'
  /** The text names a cipher that this version does not know. */
  | 'unknown-cipher'
  /** The public key has small order. The shared secret would be zero, and everybody knows that. */
  | 'weak-public-key'
  /** The file asks for more, or for less, passphrase work than the bounds allow. */
  | 'work-out-of-bounds'
  /** The text was changed, or it was sealed for another key, passphrase or context. */
  | 'not-authentic';

/**
 * A sealed text cannot be opened, or a text cannot be sealed for this receiver. The message never holds a
 * secret.
 */
export class SealError extends CodedError<SealErrorCode> {
  override readonly name = 'SealError';
}
