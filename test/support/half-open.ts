/** Many TCP connections to one port on this machine that never say who they are. */
import { connect, type Socket } from 'node:net';

/** What a connection sends: nothing, the beginning of the first line, the whole line, or something else. */
const openings = ['', '\x13/multistream', '\x13/multistream/1.0.0\n', 'GET / HTTP/1.1\r\n\r\n'];

/** A crowd of such connections. */
export class HalfOpen {
  readonly #port: number;
  readonly #open = new Set<Socket>();
  #made = 0;
  #left: number;
  #changed = Promise.withResolvers<void>();

  /**
   * Keeps `atOnce` connections open. Each is replaced when the other side closes it, until `total` were made.
   */
  constructor(port: number, atOnce: number, total: number) {
    this.#port = port;
    this.#left = total;
    for (let count = 0; count < atOnce; count += 1) this.#next();
  }

  get made(): number {
    return this.#made;
  }

  get open(): number {
    return this.#open.size;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#changed.promise;
  }

  /** Makes no more connections. The open ones stay until the other side closes them. */
  enough(): void {
    this.#left = 0;
  }

  destroy(): void {
    this.enough();
    for (const socket of this.#open) socket.destroy();
  }

  #next(): void {
    if (this.#left <= 0) return;
    this.#left -= 1;
    const opening = openings[this.#made % openings.length] as string;
    this.#made += 1;
    const socket = connect({ host: '127.0.0.1', port: this.#port, allowHalfOpen: false });
    this.#open.add(socket);
    socket.on('connect', () => socket.write(opening));
    socket.on('data', () => {});
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#open.delete(socket);
      this.#next();
      this.#changed.resolve();
      this.#changed = Promise.withResolvers();
    });
  }
}
