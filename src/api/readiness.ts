/** Whether a peer can serve uses of keys: what a load balancer or supervisor asks. */
import type { StatusView } from '../node/views/view.ts';

/** Null when ready; else one line that says what is missing. */
export function unreadiness(status: StatusView): string | null {
  if (status.state === 'waiting-for-admission') return 'this peer waits for admission';
  if (status.state === 'evicted') return 'this peer was evicted';
  if (status.shareEpochs.length === 0) return `this peer holds no share of epoch ${status.epoch}`;
  const seen = status.connected.length + 1;
  if (seen < status.quorum)
    return `this peer sees ${seen} of ${status.members} members, and a quorum is ${status.quorum}`;
  return null;
}
