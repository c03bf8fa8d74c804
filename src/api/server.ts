/**
 * The HTTP API of a daemon, on the Unix socket in its home: whoever can open that file is the peer's owner. Everything
 * that changes the group is signed by an operator and every use of a key by a client, so this door itself asks for no
 * password. Answers never hold a secret.
 */
import { chmodSync } from 'node:fs';
import Fastify from 'fastify';
import type { Log } from '../node/log.ts';
import { type DaemonApi, DaemonError } from '../node/view.ts';
import { fromHex } from '../protocol/codec.ts';
import { linkSchema } from '../protocol/link.ts';
import { orderId, orderSchema } from '../protocol/order.ts';
import { packetSchema } from '../protocol/packet.ts';
import {
  UseRefusal,
  type UseRequest,
  type UseRequestBody,
  useRequestSchema,
} from '../protocol/use-request.ts';
import { EventStreams } from './events.ts';
import { problem, problemOf } from './problem.ts';
import { claimSocket } from './socket.ts';
import {
  bodyBytesMax,
  bytesText,
  creationParams,
  dealingsBody,
  decryptBody,
  epochParams,
  epochsQuery,
  foundingBody,
  invitationBody,
  linksQuery,
  orderBody,
  packText,
  signBody,
  unpackText,
} from './wire.ts';

export interface ApiServer {
  close(): Promise<void>;
}

/** Serves `daemon` on the socket, readable by its owner only. Throws `SocketError`. */
export async function serveApi(options: {
  daemon: DaemonApi;
  socketFile: string;
  log: Log;
}): Promise<ApiServer> {
  const { daemon, socketFile, log } = options;
  await claimSocket(socketFile);
  const events = new EventStreams();
  const server = buildServer(daemon, events, log);
  const forget = daemon.onChange(() => events.announce());
  // The socket must never be open to others, not even before chmod.
  const umask = process.umask(0o177);
  try {
    await server.listen({ path: socketFile });
  } finally {
    process.umask(umask);
  }
  chmodSync(socketFile, 0o600);
  return {
    close: async () => {
      forget();
      events.close();
      await server.close();
    },
  };
}

/** The request, for the operation that the address stands for. Throws `UseRefusal('wrong-use')`. */
function asking<Operation extends UseRequestBody['operation']>(operation: Operation, request: UseRequest) {
  if (request.body.operation !== operation)
    throw new UseRefusal('wrong-use', `this is the address to ${operation}`);
  return request as UseRequest<Extract<UseRequestBody, { operation: Operation }>>;
}

function buildServer(daemon: DaemonApi, events: EventStreams, log: Log) {
  const app = Fastify({ bodyLimit: bodyBytesMax, forceCloseConnections: true });
  app.setErrorHandler((error, request, reply) => {
    const known = problemOf(error);
    if (known === null) log.error({ err: error, url: request.url }, 'a request failed');
    const answer = known ?? problem('internal', 'the daemon’s log says what happened');
    return reply.code(answer.status).type('application/problem+json').send(answer);
  });
  app.setNotFoundHandler((request, reply) => {
    const answer = problem('no-such-resource', `${request.method} ${request.url}`);
    return reply.code(answer.status).type('application/problem+json').send(answer);
  });

  app.get('/v1/status', () => daemon.status());
  app.get('/v1/peers', () => ({ peers: daemon.peers() }));
  app.get('/v1/keys', () => ({ keys: daemon.keys() }));
  app.get('/v1/epochs', async ({ query }) => {
    const { limit } = epochsQuery.parse(query);
    return { epochs: await daemon.epochs(limit === undefined ? {} : { limit }) };
  });
  app.get('/v1/epochs/:epoch', async ({ params }) => {
    const { epoch } = epochParams.parse(params);
    const [found] = await daemon.epochs({ epoch });
    if (found === undefined) throw new DaemonError('unknown', `epoch ${epoch} is not known here`);
    return found;
  });
  app.get('/v1/links', async ({ query }) => {
    const { from } = linksQuery.parse(query);
    return { links: (await daemon.links(from)).map(packText) };
  });
  app.post('/v1/invitation', async ({ body }) => {
    const { openForMs } = invitationBody.parse(body);
    return { invitation: await daemon.invite(openForMs) };
  });
  app.post('/v1/founding', async ({ body }, reply) => {
    await daemon.found(unpackText(linkSchema, foundingBody.parse(body).link));
    return reply.code(204).send();
  });
  app.post('/v1/orders', async ({ body }, reply) => {
    const order = unpackText(orderSchema, orderBody.parse(body).order);
    await daemon.submitOrder(order);
    return reply.code(202).send({ order: orderId(order) });
  });
  app.get('/v1/creation/:order', ({ params }) => {
    const view = daemon.creation(fromHex(creationParams.parse(params).order));
    return {
      head: packText(view.head),
      plan: view.plan === null ? null : bytesText(view.plan),
      attends: view.attends.map(packText),
      orders: view.orders.map(packText),
    };
  });
  app.post('/v1/dealings', async ({ body }, reply) => {
    await daemon.submitDealings(
      dealingsBody.parse(body).packets.map((text) => unpackText(packetSchema, text)),
    );
    return reply.code(202).send({});
  });
  app.post('/v1/refresh', (_, reply) => {
    daemon.refresh();
    return reply.code(202).send({});
  });
  app.post('/v1/sign', async ({ body }) => {
    const { request, timeoutMs } = signBody.parse(body);
    const answer = await daemon.sign(asking('sign', unpackText(useRequestSchema, request)), timeoutMs);
    return { ...answer, signature: bytesText(answer.signature) };
  });
  app.post('/v1/decrypt', async ({ body }) => {
    const { request, ...options } = decryptBody.parse(body);
    const asked = asking('decrypt', unpackText(useRequestSchema, request));
    const { key, commitments, partials, ...answer } = await daemon.decrypt(asked, options);
    return {
      ...answer,
      key: packText(key),
      commitments: commitments.map(bytesText),
      partials: partials.map(({ envelope, ...by }) => ({ ...by, envelope: bytesText(envelope) })),
    };
  });
  app.get('/v1/events', (_, reply) => {
    events.add(reply.raw);
    reply.hijack();
  });
  return app;
}
