/** Several doors to one group in memory, some of which do not say what the group says. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { serveApi } from '../../src/api/server.ts';
import type { TcpDoor } from '../../src/api/tcp-door.ts';
import { silentLog } from '../../src/node/log.ts';
import type { DaemonApi } from '../../src/node/views/view.ts';

type Lies = Partial<DaemonApi>;

/** `honest`, but for what `lies` does instead. */
const lying = (honest: DaemonApi, lies: Lies): DaemonApi =>
  new Proxy(honest, {
    get: (target, name) => {
      const said = Reflect.get(name in lies ? lies : target, name);
      return typeof said === 'function' ? said.bind(target) : said;
    },
  });

/** Addresses for a signer, each of a daemon of its own; all end with `close`. */
export class Doors {
  readonly #dir: string;
  readonly #group: DaemonApi;
  readonly #closing: Array<() => Promise<unknown>> = [];
  #count = 0;

  constructor(dir: string, group: DaemonApi) {
    this.#dir = dir;
    this.#group = group;
  }

  #path(): string {
    this.#count += 1;
    return join(this.#dir, `door-${this.#count}.sock`);
  }

  /** At a socket, and at its URL where `tcp` is given. */
  async open(lies: Lies = {}, tcp: TcpDoor | null = null): Promise<string> {
    const socketFile = this.#path();
    const daemon = lying(this.#group, lies);
    const server = await serveApi({ daemon, socketFile, tcp, log: silentLog });
    this.#closing.push(() => server.close());
    return server.tcpUrl ?? socketFile;
  }

  /** Nobody is there. */
  gone(): string {
    return this.#path();
  }

  /** Somebody takes the connection and never says a word, as a daemon whose clock is stopped. */
  async silent(): Promise<string> {
    const socketFile = this.#path();
    const server = createServer((socket) => socket.on('error', () => {}));
    server.listen(socketFile);
    await once(server, 'listening');
    this.#closing.push(async () => server.close());
    return socketFile;
  }

  async close(): Promise<void> {
    for (const close of this.#closing.splice(0)) await close();
  }
}
