import { CodedError } from '../crypto/errors.ts';

/** Thrown by `Daemon` methods; `code` decides the exit code and the HTTP status. */
export type DaemonErrorCode =
  | 'refused'
  | 'not-enough-peers'
  | 'not-a-member'
  | 'unknown'
  | 'busy'
  /** This machine did not let the first member begin; the operator may try again. */
  | 'not-founded'
  /** What must be durable first cannot be: the disk takes no writes at present. */
  | 'unwritable';
export class DaemonError extends CodedError<DaemonErrorCode> {
  override readonly name = 'DaemonError';
  /** Names of those who did not answer, or the refusals' codes by name. */
  readonly details: Record<string, string>;
  constructor(code: DaemonErrorCode, message: string, details: Record<string, string> = {}) {
    super(code, message);
    this.details = details;
  }
}
