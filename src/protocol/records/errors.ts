import { CodedError } from '../../crypto/errors.ts';

/**
 * What can be wrong with something that arrived. `ignore`: harmless (late, repeated, not for us);
 * `reject`: the sender broke a rule and is named in `culprit`, where the message itself proves who sent it.
 */
type ProtocolErrorCode =
  | 'malformed'
  /** Whole, and of a later version than this program knows: it is behind, and nobody did wrong. */
  | 'other-version'
  | 'wrong-cluster'
  | 'wrong-epoch'
  | 'not-a-member'
  | 'bad-signature'
  | 'bad-plan'
  | 'bad-order'
  /** Another order with its number is pending. */
  | 'order-pending'
  | 'bad-dealing'
  | 'bad-have'
  | 'bad-proposal'
  | 'bad-certificate'
  | 'bad-link'
  | 'bad-ready'
  | 'bad-recovery'
  | 'bad-genesis'
  | 'bad-admission'
  | 'contradiction'
  | 'too-many'
  | 'not-for-gossip'
  | 'early'
  | 'late';

/** What the sender of a refused message is worth: nothing is said of it, or it is reproached. */
export type RefusalAction = 'ignore' | 'reject';

export class ProtocolError extends CodedError<ProtocolErrorCode> {
  override readonly name = 'ProtocolError';
  readonly action: RefusalAction;
  readonly culprit: number | null;
  constructor(
    code: ProtocolErrorCode,
    message: string,
    options: { action?: RefusalAction; culprit?: number } = {},
  ) {
    super(code, message);
    this.action = options.action ?? 'reject';
    this.culprit = options.culprit ?? null;
  }
}

/** Whether an error says that a record is whole and of a later version. */
export const isOfOtherVersion = (error: unknown): error is ProtocolError =>
  error instanceof ProtocolError && error.code === 'other-version';
