/**
 * The HTTP API of a daemon. It always serves on the Unix socket in its home: whoever can open that file is the peer's
 * owner. It serves on TCP where the settings say so, to whoever reaches the address: there nothing rests on the file's
 * mode. Everything that changes the group is signed by an operator and every use of a key by a client, so neither door
 * asks for a password. Answers never hold a secret.
 */
import { chmodSync } from 'node:fs';
import type { FastifyInstance } from 'fastify';
import type { Log } from '../node/log.ts';
import type { DaemonApi } from '../node/views/view.ts';
import { Changes } from './changes.ts';
import { EventStreams } from './events.ts';
import { handlersOf } from './handlers.ts';
import { buildDoor } from './http-server.ts';
import { type Door, doorLimits } from './limits.ts';
import { claimSocket, SocketError } from './socket.ts';
import { loopbackNames, type TcpDoor } from './tcp-door.ts';

export interface ApiServer {
  /** Where it serves on TCP, e.g. `https://192.0.2.1:4180`; null when it does not. */
  tcpUrl: string | null;
  close(): Promise<void>;
}

/** Serves `daemon` on the socket, readable by its owner only, and on TCP when told to. Throws `SocketError`. */
export async function serveApi(options: {
  daemon: DaemonApi;
  socketFile: string;
  tcp?: TcpDoor | null;
  log: Log;
}): Promise<ApiServer> {
  const { daemon, socketFile, tcp = null, log } = options;
  await claimSocket(socketFile);
  const handlers = handlersOf(daemon);
  const changes = new Changes(daemon);
  const closing: Array<() => unknown> = [];
  const close = async (): Promise<void> => {
    for (const step of closing.splice(0)) await step();
  };
  const open = async (door: Door, more: { tls?: TcpDoor['tls']; hosts?: readonly string[] | null } = {}) => {
    const { eventStreamsMax, ofOneRemote } = doorLimits[door];
    const events = new EventStreams(eventStreamsMax, changes, ofOneRemote?.eventStreamsMax);
    const app = await buildDoor({ door, handlers, events, log, ...more });
    closing.push(
      () => events.close(),
      () => app.close(),
    );
    return app;
  };
  try {
    await listenOnSocket(await open('socket'), socketFile);
    if (tcp === null) return { tcpUrl: null, close };
    const { tls, host } = tcp;
    const app = await open('tcp', { tls, hosts: tls === undefined ? [host, ...loopbackNames] : null });
    const port = await listenOnTcp(app, tcp);
    const address = host.includes(':') ? `[${host}]` : host;
    return { tcpUrl: `${tls === undefined ? 'http' : 'https'}://${address}:${port}`, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function listenOnSocket(app: FastifyInstance, socketFile: string): Promise<void> {
  // The socket must never be open to others, not even before chmod.
  const umask = process.umask(0o177);
  try {
    await app.listen({ path: socketFile });
  } finally {
    process.umask(umask);
  }
  chmodSync(socketFile, 0o600);
}

/** The port, which the system chose when 0 was asked for. */
async function listenOnTcp(app: FastifyInstance, { host, port }: TcpDoor): Promise<number> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'EADDRINUSE'
        ? 'another program listens there'
        : code === 'EADDRNOTAVAIL'
          ? 'it is no address of this machine'
          : code === 'EACCES'
            ? 'ports below 1024 are the system’s'
            : code;
    throw new SocketError(
      'no-tcp',
      `apiListen ${host}:${port} cannot be listened on: ${why}; choose another`,
    );
  }
  const bound = app.server.address();
  return typeof bound === 'object' && bound !== null ? bound.port : port;
}
