/**
 * Tries the TCP ports of the listen addresses before anything depends on them. It holds them against other
 * programs until the daemon itself listens there. A connection that comes meanwhile is closed.
 */
import { createServer, type Server } from 'node:net';
import { ListenError } from './listen-error.ts';

const parts = /^\/ip([46])\/([^/]+)\/tcp\/(\d+)$/;

/** The TCP ports that `take` holds, until `release`. */
export class HeldPorts {
  /** The given addresses. A port 0 is replaced by the free port that the system chose. */
  readonly addresses: readonly string[];
  readonly #servers: Server[];

  private constructor(addresses: readonly string[], servers: Server[]) {
    this.addresses = addresses;
    this.#servers = servers;
  }

  /**
   * Takes all of these ports, or none. `what` is the name of the listener for the error's text. `listen`
   * holds addresses in the form of the settings: an IP address and a TCP port.
   * @throws ListenError (as a rejection) for the first address that this machine does not give
   */
  static async take(what: string, listen: readonly string[]): Promise<HeldPorts> {
    // All ports are taken at the same time. So two addresses with port 0 get different ports, and a port that
    // is given twice is found.
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

  /** Gives the ports back, so that the daemon can listen there. */
  async release(): Promise<void> {
    await Promise.all(
      this.#servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))),
    );
  }
}

const portOf = (address: string): string | undefined => parts.exec(address)?.[3];

/** The exact reason why a daemon cannot listen. `cause` is the error of the failed try. */
export async function listenErrorOf(
  what: string,
  listen: readonly string[],
  cause: unknown,
): Promise<ListenError> {
  try {
    await (await HeldPorts.take(what, listen)).release();
    return new ListenError(what, listen.join(', '), cause); // The trouble has passed meanwhile.
  } catch (error) {
    if (error instanceof ListenError) return error;
    throw error;
  }
}

/** Listens as libp2p's TCP does: a listener on an IPv6 address takes no IPv4 connections. */
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
