/** What a client finds wrong with a daemon, a group or a file of its own, with the true cause and what can be done. */
import { CodedError } from '../crypto/errors.ts';

type ClientErrorCode =
  // ── what a daemon shows ──
  /** It cannot be true, or the operators or the group did not sign it. */
  | 'not-to-be-trusted'
  /** A signature that does not verify under the key that was asked. */
  | 'false-signature'
  /** The group has no value yet: its first members are not admitted. */
  | 'not-founded'
  // ── why none of the daemons gave an answer ──
  /** Nobody answers at any address. */
  | 'unreachable'
  /** The daemon's peer does not belong to the group, not yet or not any more. */
  | 'not-a-member'
  /** Too few members gave their part in time. */
  | 'not-enough-peers'
  /** The daemon is there and cannot serve now: too much at once, a full disk, a failure inside. */
  | 'unavailable'
  // ── what no daemon will do ──
  /** A rule forbids it; `rule` names it. */
  | 'refused'
  /** The client's rate is used up: try later. */
  | 'over-rate'
  | 'no-such-key'
  /** What is asked for cannot be done with this key. */
  | 'wrong-input'
  /** The group decrypted it, and it was not encrypted in this way. */
  | 'not-decryptable'
  // ── files of a client's own ──
  /** A file is not what it should be, or is damaged. */
  | 'bad-file'
  /** A file is of a later version than this program knows: it is whole, and stays as it is. */
  | 'other-version'
  | 'wrong-passphrase';

export class ClientError extends CodedError<ClientErrorCode> {
  override readonly name = 'ClientError';
  /** The rule by which a daemon refused it (`src/api/README.md` lists them). */
  readonly rule: string | undefined;

  constructor(
    code: ClientErrorCode,
    message: string,
    options: ErrorOptions & { rule?: string | undefined } = {},
  ) {
    super(code, message, options);
    this.rule = options.rule;
  }
}
