/** What a client finds wrong with a daemon, or with a group, before it believes an answer. */
import { CodedError } from '../crypto/errors.ts';

type ClientErrorCode =
  /** The daemon shows what cannot be true, or what the operators did not sign. */
  | 'not-to-be-trusted'
  /** The group has no value yet: its first members are not admitted. */
  | 'not-founded'
  /** A file is not what it should be, or is damaged. */
  | 'bad-file'
  | 'wrong-passphrase';

export class ClientError extends CodedError<ClientErrorCode> {
  override readonly name = 'ClientError';
}
