import { CodedError } from '../../crypto/errors.ts';

export type StoreErrorCode =
  /** Another live process has the store open. */
  | 'locked'
  /** What lies on the disk is not what a store left there. */
  | 'damaged'
  /** Whole, and in a format that this version does not read. */
  | 'other-version'
  /** No space left, or a quota is used up. */
  | 'full'
  /** The folder, or its file system, cannot be written. */
  | 'read-only'
  /** The process, or the machine, has no file descriptor left. */
  | 'descriptors'
  /** A file cannot be read. */
  | 'unreadable'
  /** A record, or all of them together, is larger than the store holds. */
  | 'too-large'
  /** Not open, or closed. */
  | 'closed'
  /** Stopped by an earlier error, or an operation failed for a reason of the machine. */
  | 'failed';

/** One line: what happened, and what to do next. Never holds a record or a key of the store. */
export class StoreError extends CodedError<StoreErrorCode> {
  override readonly name = 'StoreError';
}

/** Troubles of the machine that end without a new start: what was not written can be written later. */
const passing: readonly StoreErrorCode[] = ['full', 'read-only', 'descriptors'];
export const mayPass = (error: unknown): error is StoreError =>
  error instanceof StoreError && passing.includes(error.code);

/** The `StoreError` for what the operating system reported while reading or writing `path`; bugs stay as they are. */
export function fromSystemError(error: unknown, doing: 'read' | 'write', path: string): unknown {
  const reason = (error as NodeJS.ErrnoException | undefined)?.code;
  if (error instanceof StoreError || typeof reason !== 'string' || !reason.startsWith('E')) return error;
  const cause = { cause: error };
  if (reason === 'ENOSPC' || reason === 'EDQUOT') {
    return new StoreError('full', `no space left for ${path}: free some`, cause);
  }
  if (reason === 'EMFILE' || reason === 'ENFILE') {
    return new StoreError(
      'descriptors',
      `no file descriptor left for ${path}: raise the limit of open files`,
      cause,
    );
  }
  if (doing === 'read') {
    return new StoreError(
      'unreadable',
      `cannot read ${path} (${reason}): check its owner and the disk`,
      cause,
    );
  }
  if (reason === 'EROFS' || reason === 'EACCES' || reason === 'EPERM') {
    return new StoreError('read-only', `cannot write ${path} (${reason}): check its owner and mount`, cause);
  }
  return new StoreError(
    'failed',
    `writing ${path} failed (${reason}): check the disk, then start again`,
    cause,
  );
}
