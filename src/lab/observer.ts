/** Follows the status of every daemon of a lab. It also follows daemons that are started later. */
import { ApiError } from '../client/api-client.ts';
import type { StatusView } from '../node/views/view.ts';
import type { DaemonProcess } from './daemon-process.ts';
import type { Lab } from './lab.ts';

/** Keeps the newest status of each daemon. */
export class Observer {
  readonly #lab: Lab;
  readonly #tell: (name: string, status: StatusView | null) => void;
  readonly #stopping = new AbortController();
  readonly #followed = new Map<string, Promise<void>>();
  readonly #newest = new Map<string, StatusView>();

  /**
   * @param tell gets every new status, and null when a daemon has ended. A new start of that daemon is
   * followed again.
   */
  constructor(lab: Lab, tell: (name: string, status: StatusView | null) => void) {
    this.#lab = lab;
    this.#tell = tell;
    lab.onStart.add(this.#look);
    this.#look();
  }

  /** The newest status of a daemon. Null when the daemon does not answer, or has not answered yet. */
  statusOf(name: string): StatusView | null {
    return this.#newest.get(name) ?? null;
  }

  async stop(): Promise<void> {
    this.#lab.onStart.delete(this.#look);
    this.#stopping.abort();
    await Promise.all(this.#followed.values());
  }

  readonly #look = (): void => {
    for (const peer of this.#lab.peers.values())
      if (peer.running && !this.#followed.has(peer.name))
        this.#followed.set(
          peer.name,
          this.#follow(peer).finally(() => this.#followed.delete(peer.name)),
        );
  };

  async #follow({ name, api }: DaemonProcess): Promise<void> {
    try {
      for await (const _ of api.changes(this.#stopping.signal)) {
        const status = await api.status();
        this.#newest.set(name, status);
        this.#tell(name, status);
      }
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      this.#newest.delete(name);
      this.#tell(name, null);
    }
  }
}
