/**
 * The TCP ports of listen addresses, tried before anything depends on them, and held by nobody else until the
 * daemon itself listens there. Whoever connects meanwhile is hung up on.
 */
import { createServer, type Server } from 'node:net';
import { ListenError } from './listen-error.ts';

const parts = /^\/ip([46])\/([^/]+)\/tcp\/(\d+)$/;

export class HeldPorts {
  /** The given addresses, with the port that was free in place of port 0. */
  readonly addresses: readonly string[];
  readonly #servers: Server[];

  private constructor(addresses: readonly string[], servers: Server[]) {
    this.addresses = addresses;
    this.#servers = servers;
  }

  /**
   * Takes all of these ports or none. Throws `ListenError` for the first address that this machine does not give.
   * @param what who will listen there, as the error names it
   * @param listen addresses as the settings take them: IP address and TCP port
   */
  static async take(what: string, listen: readonly string[]): Promise<HeldPorts> {
    // All at once: no two addresses with port 0 get the same one, and one that is given twice is found.
    const tries = await Promise.allSettled(listen.map(openServer));
    const servers = tries.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const failed = tries.findIndex(({ status }) => status === 'rejected');
    const held = new HeldPorts(
      failed < 0 ? listen.map((address, at) => withPort(address, servers[at] as Server)) : listen,
      servers,
    );
    if (failed < 0) return held;
    await held.release();
    const address = listen[failed] as string;
    const { reason } = tries[failed] as PromiseRejectedResult;
    const own = reason.code === 'EADDRINUSE' && listen.filter((other) => portOf(other) === portOf(address));
    throw new ListenError(what, address, own && own.length > 1 ? { code: 'TWICE' } : reason);
  }

  async release(): Promise<void> {
    await Promise.all(
      this.#servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))),
    );
  }
}

const portOf = (address: string): string | undefined => parts.exec(address)?.[3];

/** What keeps a daemon from listening where it shall, as exactly as it can be told. */
export async function listenErrorOf(
  what: string,
  listen: readonly string[],
  cause: unknown,
): Promise<ListenError> {
  try {
    await (await HeldPorts.take(what, listen)).release();
    return new ListenError(what, listen.join(', '), cause); // it was a matter of a moment
  } catch (error) {
    if (error instanceof ListenError) return error;
    throw error;
  }
}

/** As libp2p's TCP listens: an IPv6 address takes no IPv4. */
async function openServer(address: string): Promise<Server> {
  const [, version, host, port] = parts.exec(address) ?? [];
  if (host === undefined) throw new Error(`${address} is no IP address with a TCP port`);
  const server = createServer((connection) => connection.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: Number(port), host, ipv6Only: version === '6' }, resolve);
  });
  return server;
}

function withPort(address: string, server: Server): string {
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return address.replace(/\/tcp\/0$/, `/tcp/${port}`);
}
