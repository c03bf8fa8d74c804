/** A live view of a lab: one line for each thing that changes at a peer, as it changes. */
import { ApiError } from '../api/client.ts';
import type { StatusView } from '../node/view.ts';
import type { DaemonProcess } from './daemon-process.ts';
import type { Lab } from './lab.ts';

/**
 * Tells of every peer of the lab, newcomers too, until `stop`. A peer whose daemon ends is told of as gone, and looked
 * at again when `look` is called the next time.
 * @param say gets one line without its end
 */
export class Watch {
  private readonly lab: Lab;
  private readonly say: (line: string) => void;
  private readonly stopping = new AbortController();
  private readonly watched = new Map<string, Promise<void>>();
  private readonly last = new Map<string, string>();

  constructor(lab: Lab, say: (line: string) => void) {
    this.lab = lab;
    this.say = say;
    lab.onStart = () => this.look();
    this.look();
  }

  async stop(): Promise<void> {
    this.lab.onStart = () => {};
    this.stopping.abort();
    await Promise.all(this.watched.values());
  }

  private look(): void {
    for (const peer of this.lab.peers.values())
      if (peer.running && !this.watched.has(peer.name))
        this.watched.set(
          peer.name,
          this.follow(peer).finally(() => this.watched.delete(peer.name)),
        );
  }

  private async follow(peer: DaemonProcess): Promise<void> {
    const { api } = peer;
    try {
      for await (const _ of api.changes(this.stopping.signal))
        this.tell(peer.name, inOneLine(await api.status()));
    } catch (error) {
      if (this.stopping.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.tell(peer.name, 'gone');
    }
  }

  private tell(name: string, line: string): void {
    if (this.last.get(name) === line) return;
    this.last.set(name, line);
    this.say(`${name.padEnd(3)} ${line}`);
  }
}

/** `epoch 7, has its share, 4 connected; dealing for epoch 8; refresh-waits` */
export function inOneLine(status: StatusView): string {
  const { epoch, shareEpochs, connected, change, problems, state, keys } = status;
  if (epoch === null || state === 'waiting-for-admission') return 'waits for admission';
  if (state === 'evicted') return `evicted in epoch ${epoch}`;
  const has = shareEpochs.includes(epoch);
  // Between a decision and its new share, lacking it is in order.
  const share =
    keys === 0 ? 'no key yet' : has ? 'has its share' : `no share${change === null ? '!' : ' yet'}`;
  const under = change === null ? '' : `; ${change.phase} for epoch ${change.epoch}`;
  const codes = problems.map(({ code }) => code).filter((code) => code !== 'no-share');
  const wrong = codes.length === 0 ? '' : `; ${codes.join(', ')}`;
  return `epoch ${epoch}, ${share}, ${connected.length} connected${under}${wrong}`;
}
