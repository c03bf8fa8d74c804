/** What a client finds wrong with a daemon, or with a group, before it believes an answer. */
import { CodedError } from '../crypto/errors.ts';

type ClientErrorCode =
  /** The daemon shows what cannot be true, or what the operators did not sign. */
  | 'not-to-be-trusted'
  /** The group has no value yet: its first members are not admitted. */
  | 'not-founded';

export class ClientError extends CodedError<ClientErrorCode> {
  override readonly name = 'ClientError';
}
