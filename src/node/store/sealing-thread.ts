/**
 * The entry of the sealing thread. It takes records and gives a sealed frame. Records and store key arrive as
 * copies, and the thread wipes the copies.
 */
import { type FrameRequest, type Sealed, sealFrame } from './sealing.ts';
import { StoreError } from './store-error.ts';

export default function sealed(request: FrameRequest): Sealed {
  try {
    return { frame: sealFrame(request) };
  } catch (error) {
    const message = error instanceof Error ? error.message : 'an unexpected error';
    return { code: error instanceof StoreError ? error.code : null, message };
  } finally {
    request.generation.storeKey.fill(0);
    for (const value of request.changes.values()) value?.fill(0);
  }
}
