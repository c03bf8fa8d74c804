/** One door of the API as an HTTP server: checks, bounds and problem documents around the handlers. */
import type { Socket } from 'node:net';
import rateLimit from '@fastify/rate-limit';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Log } from '../node/log.ts';
import { otherVersionIn } from '../protocol/records/version.ts';
import type { EventStreams } from './events.ts';
import type { Handlers } from './handlers.ts';
import { type Arrival, apiLimits, type Door, doorLimits } from './limits.ts';
import {
  ApiProblem,
  type ProblemDocument,
  problem,
  problemMediaType,
  problemOf,
  retryAfterS,
} from './problem.ts';
import type { Route } from './route.ts';
import { type Asked, routeIds, routes } from './routes.ts';
import { Shares } from './shares.ts';

interface DoorOptions {
  door: Door;
  handlers: Handlers;
  events: EventStreams;
  log: Log;
  /** TLS certificate chain and key, PEM. */
  tls?: { cert: string; key: string } | undefined;
  /** Host names under which a request may come in; null: any. */
  hosts?: readonly string[] | null;
  /** How long a request may take to arrive. */
  arrival?: Arrival;
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** Nothing listens yet. Errors of the daemon go to its log; an answer never repeats them. */
export async function buildDoor(options: DoorOptions): Promise<FastifyInstance> {
  const { door, log, tls, hosts = null } = options;
  const bounds = doorLimits[door];
  const { arrival } = { ...bounds, ...options };
  let countRate = async (_: FastifyRequest): Promise<void> => {};
  const refuse = (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
    const known = problemOf(error);
    if (known === null) log.error({ err: error, url: request.url }, 'a request failed');
    return send(reply, known ?? problem('internal', 'the daemon’s log says what happened'));
  };
  const node = {
    maxHeaderSize: apiLimits.headerBytesMax,
    headersTimeout: arrival.headersMs,
    connectionsCheckingInterval: arrival.checkedEveryMs,
  };
  const common = {
    bodyLimit: apiLimits.bodyBytesMax,
    requestTimeout: arrival.requestMs,
    connectionTimeout: apiLimits.idleMs,
    keepAliveTimeout: apiLimits.keepAliveMs,
    forceCloseConnections: true,
    clientErrorHandler: onBrokenHttp,
    // An address that is no URL reaches no hook.
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
      void countRate(request).then(
        () => refuse(error, request, reply),
        (tooMany) => refuse(tooMany, request, reply),
      ),
  };
  const app = (tls === undefined
    ? Fastify({ ...common, http: node })
    : Fastify({
        ...common,
        https: { ...node, ...tls, handshakeTimeout: arrival.headersMs },
      })) as unknown as FastifyInstance;
  app.server.maxConnections = bounds.connectionsMax;
  const connections = new Shares(bounds.ofOneRemote?.connectionsMax ?? null);
  app.server.on('connection', (socket: Socket) => {
    const leave = connections.take(socket.remoteAddress ?? '');
    if (leave === null) socket.destroy();
    else socket.once('close', leave);
  });
  app.removeContentTypeParser('text/plain');
  app.setErrorHandler(refuse);
  if (bounds.ofOneRemote !== null) {
    countRate = await rateCounter(app, bounds.ofOneRemote.requestsPerSecondMax);
    app.addHook('onRequest', countRate); // before all that refuses a request, which costs time too
  }
  if (hosts !== null)
    app.addHook('onRequest', async (request) => {
      if (!hosts.includes(request.hostname))
        throw new ApiProblem('misdirected', `ask for one of ${hosts.join(', ')}`);
    });
  app.setNotFoundHandler((request, reply) =>
    send(reply, problem('no-such-resource', `${request.method} ${request.url}`)),
  );
  addRoutes(app, options);
  return app;
}

/** What counts a request for its address, and throws `ApiProblem('too-many-requests')`. */
async function rateCounter(
  app: FastifyInstance,
  max: number,
): Promise<(request: FastifyRequest) => Promise<void>> {
  await app.register(rateLimit, { global: false, max, timeWindow: 1000, cache: apiLimits.remotesMax });
  const count = app.createRateLimit();
  return async (request) => {
    const counted = await count(request);
    if (!counted.isAllowed && counted.isExceeded)
      throw new ApiProblem('too-many-requests', `at most ${max} requests a second from one address`);
  };
}

function addRoutes(app: FastifyInstance, { door, handlers, events }: DoorOptions): void {
  const bounds = doorLimits[door];
  let uses = 0;
  const shares = new Shares(bounds.ofOneRemote?.usesMax ?? null);
  for (const id of routeIds) {
    const route = routes[id] as Route;
    const url = route.path.replaceAll(/\{(\w+)\}/g, ':$1');
    const serve = async (request: FastifyRequest, reply: FastifyReply) => {
      if (route.doors === 'socket' && door !== 'socket')
        throw new ApiProblem(
          'socket-only',
          'ask on the peer’s machine: this is open to the owner of the home',
        );
      if (id === 'events') {
        const last = request.headers['last-event-id'];
        events.add(reply.raw, request.ip ?? '', typeof last === 'string' ? last : null);
        return reply.hijack();
      }
      const query = checked(route.query, request.query);
      if (id === 'epochs') checkPage(query as Asked<'epochs'>['query'], bounds.epochsMax);
      const gone = new AbortController();
      reply.raw.once('close', () => gone.abort());
      const given = {
        params: checked(route.params, request.params),
        query,
        body: checked(route.body, request.body ?? {}),
      };
      const answer = await (handlers[id] as (given: unknown, gone: AbortSignal) => unknown)(
        given,
        gone.signal,
      );
      reply.code(route.status).type(route.mediaType);
      return reply.send(route.status === 204 ? undefined : textOf(route.answer, answer));
    };
    app.route({
      method: route.method,
      url,
      bodyLimit: route.bodyBytesMax,
      exposeHeadRoute: id !== 'events',
      handler: !route.usesKey
        ? serve
        : async (request, reply) => {
            if (uses >= bounds.usesMax)
              throw new ApiProblem('overloaded', `${bounds.usesMax} uses of keys are under way`);
            const leave = shares.take(request.ip ?? '');
            if (leave === null)
              throw new ApiProblem('too-many-requests', 'this address has as many uses under way as it may');
            uses += 1;
            try {
              return await serve(request, reply);
            } finally {
              uses -= 1;
              leave();
            }
          },
    });
    const allowed = route.method === 'GET' && id !== 'events' ? ['GET', 'HEAD'] : [route.method];
    app.route({
      method: methods.filter((method) => !allowed.includes(method)),
      url,
      exposeHeadRoute: false,
      onRequest: async (request, reply) => {
        reply.header('allow', allowed.join(', '));
        throw new ApiProblem('wrong-method', `${request.method} is not for this address`);
      },
      handler: () => {},
    });
  }
}

/** Throws `ApiProblem('malformed')`, `ProtocolError('other-version')`, or what a codec throws. */
function checked(schema: z.ZodType, given: unknown): unknown {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const newer = otherVersionIn(schema, given);
  if (newer !== null) throw newer;
  const [issue] = parsed.error.issues;
  throw new ApiProblem(
    'malformed',
    `${issue?.path.join('.') || 'the request'}: ${issue?.message ?? 'not as expected'}`,
  );
}

function checkPage({ limit = 0 }: Asked<'epochs'>['query'], epochsMax: number): void {
  if (limit > epochsMax) throw new ApiProblem('malformed', `limit: at most ${epochsMax} through this door`);
}

/** Nothing leaves that the schema does not name; what does not fit it is a bug. */
function textOf(schema: z.ZodType, answer: unknown): string {
  const encoded = z.safeEncode(schema, answer);
  if (!encoded.success) throw new Error(`an answer does not fit its schema: ${encoded.error.message}`);
  return typeof encoded.data === 'string' ? encoded.data : JSON.stringify(encoded.data);
}

function send(reply: FastifyReply, answer: ProblemDocument): FastifyReply {
  const retry = retryAfterS(answer.code);
  if (retry !== null && !reply.hasHeader('retry-after')) reply.header('retry-after', retry);
  return reply.code(answer.status).type(problemMediaType).send(JSON.stringify(answer));
}

/** What is not HTTP, or too long or too slow to become a request: there is a bare connection only. */
function onBrokenHttp(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const answer =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? problem('headers-too-large', `headers may have ${apiLimits.headerBytesMax} bytes`)
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? problem('too-slow', 'the request did not arrive in time')
        : problem('malformed', 'this is not HTTP');
  const body = JSON.stringify(answer);
  socket.end(
    `HTTP/1.1 ${answer.status} ${answer.code}\r\ncontent-type: ${problemMediaType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
