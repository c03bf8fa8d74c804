/** A live view of a lab: one line for each change at a peer. */
import type { StatusView } from '../node/views/view.ts';
import type { Lab } from './lab.ts';
import { Observer } from './observer.ts';

/**
 * Tells of every peer of the lab until the observer is stopped.
 * @param say gets one line without its end
 */
export function watch(lab: Lab, say: (line: string) => void): Observer {
  const last = new Map<string, string>();
  return new Observer(lab, (name, status) => {
    const line = status === null ? 'gone' : inOneLine(status);
    if (last.get(name) === line) return;
    last.set(name, line);
    say(`${name.padEnd(3)} ${line}`);
  });
}

/** A status in one line: `epoch 7, has its share, 4 connected; dealing for epoch 8; refresh-waits`. */
export function inOneLine(status: StatusView): string {
  const { epoch, shareEpochs, connected, change, problems, state, keys } = status;
  if (epoch === null || state === 'waiting-for-admission') return 'waits for admission';
  if (state === 'evicted') return `evicted in epoch ${epoch}`;
  const has = shareEpochs.includes(epoch);
  // A member without a share is in order between a decision and its new share.
  const share =
    keys === 0 ? 'no key yet' : has ? 'has its share' : `no share${change === null ? '!' : ' yet'}`;
  const under = change === null ? '' : `; ${change.phase} for epoch ${change.epoch}`;
  const codes = problems.map(({ code }) => code).filter((code) => code !== 'no-share');
  const wrong = codes.length === 0 ? '' : `; ${codes.join(', ')}`;
  return `epoch ${epoch}, ${share}, ${connected.length} connected${under}${wrong}`;
}
