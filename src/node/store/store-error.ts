import { CodedError } from '../../crypto/errors.ts';

/** The reasons why a store does not do its work. */
export type StoreErrorCode =
  /** Another live process has the store open. */
  | 'locked'
  /** The files on the disk are not as a store left them. */
  | 'damaged'
  /** The files are whole, and in a format that this version does not read. */
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
  /** The store is not open yet, or it is closed. */
  | 'closed'
  /** An earlier error stopped the store, or an operation failed for a reason of the machine. */
  | 'failed';

/**
 * An error of the store. The message is one line: what happened, and what to do next. It holds no record and
 * no key.
 */
export class StoreError extends CodedError<StoreErrorCode> {
  override readonly name = 'StoreError';
}

/** Whole, and of another version: nothing is read or written there. */
export const otherFormat = (which: string, whatToDo: string): StoreError =>
  new StoreError(
    'other-version',
    `this home is whole, but of another version of Holdfast (${which}): ${whatToDo}`,
  );

/**
 * Troubles of the machine that can end while the process runs. The store can write again when they have
 * ended.
 */
const passing: readonly StoreErrorCode[] = ['full', 'read-only', 'descriptors'];
/** Whether the error is a trouble of the machine that can pass. */
export const mayPass = (error: unknown): error is StoreError =>
  error instanceof StoreError && passing.includes(error.code);

/**
 * The `StoreError` for an error that the operating system reported while `path` was read or written. Every
 * other error, such as a bug's, comes back as it is.
 */
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
