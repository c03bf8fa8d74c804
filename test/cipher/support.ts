import { SealError, type SealErrorCode } from '../../src/cipher/seal-error.ts';

/** The code of the `SealError` that `action` throws; `undefined` when it throws nothing. */
export function sealErrorCode(action: () => unknown): SealErrorCode | undefined {
  try {
    action();
  } catch (error) {
    if (error instanceof SealError) return error.code;
    throw error;
  }
  return undefined;
}
