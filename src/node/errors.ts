import { CodedError } from '../crypto/errors.ts';

/** The codes of a daemon's errors. The code decides the exit code of a command and the HTTP status. */
export type DaemonErrorCode =
  | 'refused'
  | 'not-enough-peers'
  | 'not-a-member'
  | 'unknown'
  | 'busy'
  /** This machine did not let the first member begin. The operator may try again. */
  | 'not-founded'
  /** The disk takes no writes at present, and the request needs a durable one first. */
  | 'unwritable';
/** An error of the methods of `Daemon`. The message is for a person and holds no secret. */
export class DaemonError extends CodedError<DaemonErrorCode> {
  override readonly name = 'DaemonError';
  /**
   * By a member's name: `silent`, `lied`, or the code of its refusal. Under the name `code`: the code of the
   * protocol's error.
   */
  readonly details: Record<string, string>;
  constructor(code: DaemonErrorCode, message: string, details: Record<string, string> = {}) {
    super(code, message);
    this.details = details;
  }
}
