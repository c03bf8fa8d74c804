/** A typed client of the daemon's API, over its socket or over TCP, without and with TLS. */

import { Agent, type Dispatcher, request } from 'undici';
import { z } from 'zod';
import { type ProblemCode, problemSchema } from '../api/problem.ts';
import type { Route } from '../api/route.ts';
import { type Answer, type Asking, type RouteId, routes } from '../api/routes.ts';
import { heartbeat } from '../api/wire.ts';
import { CodedError } from '../crypto/errors.ts';
import { fromHex } from '../protocol/records/codec.ts';
import type { Link } from '../protocol/records/link.ts';
import { type Order, orderId } from '../protocol/records/order.ts';
import type { Packet } from '../protocol/records/packet.ts';
import type { DecryptBody, SignBody, UseRequest } from '../protocol/records/use-request.ts';

type ApiErrorCode = ProblemCode | 'not-running' | 'untrusted';

/** Details that say the rule by name. */
const forPrograms: ReadonlySet<string> = new Set(['code', 'rule']);

/** What the daemon answered instead of a result, or that none is there to answer (`not-running`). */
export class ApiError extends CodedError<ApiErrorCode> {
  override readonly name = 'ApiError';
  readonly details: Record<string, string>;
  /** Nobody has answered in full, and yet the daemon may have done what was asked of it. */
  readonly unanswered: boolean;
  constructor(
    code: ApiErrorCode,
    message: string,
    { details = {}, unanswered = false }: { details?: Record<string, string>; unanswered?: boolean } = {},
  ) {
    super(code, message);
    this.details = details;
    this.unanswered = unanswered;
  }

  /** The rule by which a daemon refused it. */
  get rule(): string | undefined {
    return this.details.code ?? this.details.rule;
  }

  /** Who did not answer, and why, each in a few words. Which rule was broken, the message says to people. */
  get entries(): string[] {
    return Object.entries(this.details)
      .filter(([name]) => !forPrograms.has(name))
      .map(([name, why]) => (why === '' ? name : `${name} (${why})`));
  }

  /** The message with its details, in one line. */
  get inFull(): string {
    return this.entries.length === 0 ? this.message : `${this.message}: ${this.entries.join(', ')}`;
  }
}

export interface ApiClient {
  /** The path or URL that it was given. */
  readonly target: string;
  /** The same connection, whose calls wait so long for an answer beyond what the daemon itself waits. */
  within(patienceMs: number): ApiClient;
  status(): Promise<Answer<'status'>>;
  peers(): Promise<Answer<'peers'>['peers']>;
  epochs(limit?: number): Promise<Answer<'epochs'>['epochs']>;
  epoch(epoch: number): Promise<Answer<'epoch'>>;
  keys(): Promise<Answer<'keys'>['keys']>;
  audit(): Promise<Answer<'audit'>>;
  links(from: number): Promise<Link[]>;
  invite(openForMs: number): Promise<string>;
  found(link: Link): Promise<void>;
  submitOrder(order: Order): Promise<void>;
  creation(order: Order): Promise<Answer<'creation'>>;
  submitDealings(packets: readonly Packet[]): Promise<void>;
  refresh(): Promise<void>;
  sign(request: UseRequest<SignBody>, timeoutMs: number): Promise<Answer<'sign'>>;
  decrypt(
    request: UseRequest<DecryptBody>,
    options: { prove: boolean; timeoutMs: number },
  ): Promise<Answer<'decrypt'>>;
  /**
   * Yields once it listens, and after every change of whatever events tell of. Ends with `not-running` when
   * the daemon goes away.
   */
  changes(signal?: AbortSignal): AsyncGenerator<void, never>;
  /** Asks `check` now and after every change until its answer is not null. Rejects when `signal` aborts. */
  until<T>(check: () => Promise<T | null>, signal?: AbortSignal): Promise<T>;
  close(): Promise<void>;
}

const onTcp = (target: string): boolean => /^https?:\/\//.test(target);

/** How long an answer may take beyond what the daemon itself waits for, unless the caller says otherwise. */
const standardPatienceMs = 60_000;

/**
 * Nothing is opened before the first call; every call rejects with `ApiError`.
 * @param target the path of the socket, or the URL of an API on TCP (`https://192.0.2.1:4180`)
 */
export function connectApi(target: string): ApiClient {
  return apiOver(
    new Agent(onTcp(target) ? {} : { connect: { socketPath: target } }),
    target,
    standardPatienceMs,
  );
}

function apiOver(dispatcher: Agent, target: string, patienceMs: number): ApiClient {
  const base = onTcp(target) ? target.replace(/\/+$/, '') : 'http://daemon';

  const call = async <Id extends Exclude<RouteId, 'events'>>(
    id: Id,
    asked: Asking<Id> = {},
    waitMs = 0,
  ): Promise<Answer<Id>> => {
    const route = routes[id] as Route;
    const address = base + addressOf(route, asked);
    const body = route.method === 'GET' ? null : JSON.stringify(z.encode(route.body, asked.body ?? {}));
    try {
      const response = await request(address, {
        dispatcher,
        method: route.method,
        headersTimeout: waitMs + patienceMs,
        bodyTimeout: waitMs + patienceMs,
        ...(body === null ? {} : { body, headers: { 'content-type': 'application/json' } }),
      });
      const text = await response.body.text();
      if (response.statusCode >= 400) throw errorOf(text);
      return answerOf(route, text) as Answer<Id>;
    } catch (error) {
      throw error instanceof ApiError ? error : noAnswer(error, target);
    }
  };

  const changes = async function* (signal?: AbortSignal): AsyncGenerator<void, never> {
    let response: Dispatcher.ResponseData;
    try {
      const options = { dispatcher, bodyTimeout: 0, ...(signal === undefined ? {} : { signal }) };
      response = await request(base + routes.events.path, options);
      if (response.statusCode >= 400) throw errorOf(await response.body.text());
      // A chunk may hold many events or end in the middle of one: something changed, which is all that is said.
      for await (const chunk of response.body) if (String(chunk) !== heartbeat) yield;
    } catch (error) {
      signal?.throwIfAborted();
      throw error instanceof ApiError ? error : noAnswer(error, target);
    }
    throw new ApiError('not-running', 'the daemon has stopped', { unanswered: true });
  };

  return {
    target,
    within: (ms) => apiOver(dispatcher, target, ms),
    status: () => call('status'),
    peers: async () => (await call('peers')).peers,
    epochs: async (limit = 20) => (await call('epochs', { query: { limit } })).epochs,
    epoch: (epoch) => call('epoch', { params: { epoch } }),
    keys: async () => (await call('keys')).keys,
    audit: () => call('audit'),
    links: async (from) => (await call('links', { query: { from } })).links,
    invite: async (openForMs) => (await call('invite', { body: { openForMs } })).invitation,
    found: async (link) => void (await call('found', { body: { link } })),
    submitOrder: async (order) => void (await call('submitOrder', { body: { order } })),
    creation: (order) => call('creation', { params: { order: fromHex(orderId(order)) } }),
    submitDealings: async (packets) =>
      void (await call('submitDealings', { body: { packets: [...packets] } })),
    refresh: async () => void (await call('refresh')),
    sign: (asked, timeoutMs) => call('sign', { body: { request: asked, timeoutMs } }, timeoutMs),
    decrypt: (asked, options) => call('decrypt', { body: { request: asked, ...options } }, options.timeoutMs),
    changes,
    until: async (check, signal) => {
      for await (const _ of changes(signal)) {
        const found = await check();
        if (found !== null) return found;
      }
      throw new Error('unreachable: changes ends by throwing');
    },
    close: () => dispatcher.destroy(),
  };
}

function addressOf(route: Route, asked: { params?: object; query?: object }): string {
  const params = z.encode(route.params, { ...asked.params }) as Record<string, unknown>;
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(String(params[name])),
  );
  const query = new URLSearchParams(
    z.encode(route.query, { ...asked.query }) as Record<string, string>,
  ).toString();
  return query === '' ? path : `${path}?${query}`;
}

function answerOf(route: Route, text: string): unknown {
  try {
    return route.status === 204 ? {} : route.answer.parse(JSON.parse(text));
  } catch {
    throw notUnderstood();
  }
}

function errorOf(text: string): ApiError {
  try {
    const { code, detail, details } = problemSchema.parse(JSON.parse(text));
    // What failed inside may be done all the same.
    return new ApiError(code, detail, { details, unanswered: code === 'internal' });
  } catch {
    return notUnderstood();
  }
}

const notUnderstood = (): ApiError =>
  new ApiError('internal', 'the daemon gave an answer that is not understood here', {
    unanswered: true,
  });

/** Why nobody answered. */
function noAnswer(error: unknown, target: string): ApiError {
  const { code } = error as { code?: unknown };
  if (typeof code !== 'string')
    return new ApiError('internal', 'the daemon did not answer (unknown reason)', { unanswered: true });
  const gone = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET', 'UND_ERR_DESTROYED', 'UND_ERR_CLOSED'];
  if (['ENOENT', 'ECONNREFUSED', ...gone].includes(code))
    return new ApiError(
      'not-running',
      onTcp(target) ? `nothing answers at ${target}` : 'the daemon is not running',
      { unanswered: gone.includes(code) },
    );
  if (code === 'EACCES') return new ApiError('not-running', 'the daemon’s socket belongs to another user');
  if (/CERT|SIGNATURE|ALTNAME/.test(code))
    return new ApiError(
      'untrusted',
      `the certificate of ${target} is not trusted (${code}); name its authority's file in NODE_EXTRA_CA_CERTS`,
    );
  return new ApiError('internal', `the daemon did not answer (${code})`, { unanswered: true });
}
