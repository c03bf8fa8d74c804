/** Whether a peer can serve uses of keys: what a load balancer or supervisor asks. */
import type { StatusView } from '../node/views/view.ts';

/** Null when ready; else one line that says what is missing. */
export function unreadiness(status: StatusView): string | null {
  const { state, shareEpochs, epoch, prospects, problems } = status;
  if (state === 'waiting-for-admission') return 'this peer waits for admission';
  if (state === 'evicted') return 'this peer was evicted';
  const sign = prospects?.sign;
  if (sign?.can === 'no')
    return (
      problems.find(({ code }) => code === 'cannot-sign')?.what ??
      `a use of a key needs ${sign.needed} members that hold their shares, and ${sign.able} can be reached`
    );
  if (shareEpochs.length === 0) return `this peer holds no share of epoch ${epoch}`;
  if (sign?.can !== 'yes')
    return `it is not known yet whether enough members hold their shares: ${sign?.able ?? 0} do, and ${sign?.needed ?? status.threshold} are needed`;
  return null;
}
