/** A typed client of the daemon's API over the socket in its home, for the command line, the lab and tests. */
import { Agent, type Dispatcher, request } from 'undici';
import type {
  CreationView,
  DecryptAnswer,
  EpochView,
  KeyView,
  PeerView,
  SignAnswer,
  StatusView,
} from '../node/view.ts';
import { type Link, linkSchema } from '../protocol/link.ts';
import { type Order, orderId, orderSchema } from '../protocol/order.ts';
import { type Packet, packetSchema } from '../protocol/packet.ts';
import type { DecryptBody, SignBody, UseRequest } from '../protocol/use-request.ts';
import { keyRecordSchema } from '../protocol/value.ts';
import { type ProblemCode, problemSchema } from './problem.ts';
import { packText, textBytes, unpackText } from './wire.ts';

export type ApiErrorCode = ProblemCode | 'not-running';

/** What the daemon answered instead of a result, or that none is there to answer (`not-running`). */
export class ApiError extends Error {
  readonly code: ApiErrorCode;
  readonly details: Record<string, string>;
  constructor(code: ApiErrorCode, message: string, details: Record<string, string> = {}) {
    super(message);
    this.name = 'ApiError';
    this.code = code;
    this.details = details;
  }
}

export interface ApiClient {
  status(): Promise<StatusView>;
  peers(): Promise<PeerView[]>;
  epochs(limit?: number): Promise<EpochView[]>;
  epoch(epoch: number): Promise<EpochView>;
  keys(): Promise<KeyView[]>;
  links(from: number): Promise<Link[]>;
  invite(openForMs: number): Promise<string>;
  found(link: Link): Promise<void>;
  submitOrder(order: Order): Promise<void>;
  creation(order: Order): Promise<CreationView>;
  submitDealings(packets: readonly Packet[]): Promise<void>;
  refresh(): Promise<void>;
  sign(request: UseRequest<SignBody>, timeoutMs: number): Promise<SignAnswer>;
  decrypt(
    request: UseRequest<DecryptBody>,
    options: { prove: boolean; timeoutMs: number },
  ): Promise<DecryptAnswer>;
  /** Yields once it listens, and after every change. Ends with `not-running` when the daemon goes away. */
  changes(signal?: AbortSignal): AsyncGenerator<void, never>;
  /** Asks `check` now and after every change until its answer is not null. Rejects when `signal` aborts. */
  until<T>(check: () => Promise<T | null>, signal?: AbortSignal): Promise<T>;
  close(): Promise<void>;
}

/** Nothing is opened before the first call; every call rejects with `ApiError`. */
export function connectApi(socketFile: string): ApiClient {
  const dispatcher = new Agent({ connect: { socketPath: socketFile } });
  const send = async (method: 'GET' | 'POST', path: string, body?: unknown, patienceMs = 60_000) => {
    try {
      const response = await request(`http://daemon${path}`, {
        dispatcher,
        method,
        headersTimeout: patienceMs,
        bodyTimeout: patienceMs,
        ...(body === undefined
          ? {}
          : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
      const text = await response.body.text();
      const data: unknown = text === '' ? {} : JSON.parse(text);
      if (response.statusCode >= 400) throw errorOf(data);
      return data as never;
    } catch (error) {
      throw error instanceof ApiError ? error : notRunning(error);
    }
  };
  const get = <T>(path: string): Promise<T> => send('GET', path);
  const post = <T>(path: string, body: unknown = {}, patienceMs?: number): Promise<T> =>
    send('POST', path, body, patienceMs);

  const changes = async function* (signal?: AbortSignal): AsyncGenerator<void, never> {
    let response: Dispatcher.ResponseData;
    try {
      const options = { dispatcher, bodyTimeout: 0, ...(signal === undefined ? {} : { signal }) };
      response = await request('http://daemon/v1/events', options);
      if (response.statusCode >= 400) throw errorOf(await response.body.json());
      // A chunk may hold many events or end in the middle of one: something changed, which is all that is said.
      for await (const _ of response.body) yield;
    } catch (error) {
      signal?.throwIfAborted();
      throw error instanceof ApiError ? error : notRunning(error);
    }
    throw new ApiError('not-running', 'the daemon has stopped');
  };

  return {
    status: () => get('/v1/status'),
    peers: async () => (await get<{ peers: PeerView[] }>('/v1/peers')).peers,
    epochs: async (limit = 20) => (await get<{ epochs: EpochView[] }>(`/v1/epochs?limit=${limit}`)).epochs,
    epoch: (epoch) => get(`/v1/epochs/${epoch}`),
    keys: async () => (await get<{ keys: KeyView[] }>('/v1/keys')).keys,
    links: async (from) =>
      (await get<{ links: string[] }>(`/v1/links?from=${from}`)).links.map((text) =>
        unpackText(linkSchema, text),
      ),
    invite: async (openForMs) =>
      (await post<{ invitation: string }>('/v1/invitation', { openForMs })).invitation,
    found: (link) => post('/v1/founding', { link: packText(link) }),
    submitOrder: async (order) => {
      await post('/v1/orders', { order: packText(order) });
    },
    creation: async (order) => {
      type Answer = { head: string; plan: string | null; attends: string[]; orders: string[] };
      const answer = await get<Answer>(`/v1/creation/${orderId(order)}`);
      return {
        head: unpackText(linkSchema, answer.head),
        plan: answer.plan === null ? null : textBytes(answer.plan),
        attends: answer.attends.map((text) => unpackText(packetSchema, text)),
        orders: answer.orders.map((text) => unpackText(orderSchema, text)),
      };
    },
    submitDealings: async (packets) => {
      await post('/v1/dealings', { packets: packets.map(packText) });
    },
    refresh: async () => {
      await post('/v1/refresh');
    },
    sign: async (asked, timeoutMs) => {
      type Answer = { signature: string; epoch: number; signers: string[] };
      const body = { request: packText(asked), timeoutMs };
      const answer = await post<Answer>('/v1/sign', body, timeoutMs + 10_000);
      return { ...answer, signature: textBytes(answer.signature) };
    },
    decrypt: async (asked, { prove, timeoutMs }) => {
      type Partial = { index: number; name: string; envelope: string };
      type Sealed = { key: string; commitments: string[]; partials: Partial[] };
      const body = { request: packText(asked), prove, timeoutMs };
      const answer = await post<Omit<DecryptAnswer, keyof Sealed> & Sealed>(
        '/v1/decrypt',
        body,
        timeoutMs + 10_000,
      );
      return {
        ...answer,
        key: unpackText(keyRecordSchema, answer.key),
        commitments: answer.commitments.map(textBytes),
        partials: answer.partials.map(({ envelope, ...by }) => ({ ...by, envelope: textBytes(envelope) })),
      };
    },
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

function errorOf(data: unknown): ApiError {
  const parsed = problemSchema.safeParse(data);
  if (!parsed.success)
    return new ApiError('internal', 'the daemon gave an answer that this command does not understand');
  const { code, detail, details } = parsed.data;
  return new ApiError(code, detail, details);
}

function notRunning(error: unknown): ApiError {
  const { code } = error as { code?: unknown };
  const dead = [
    'ENOENT',
    'ECONNREFUSED',
    'ECONNRESET',
    'EPIPE',
    'UND_ERR_SOCKET',
    'UND_ERR_DESTROYED',
    'UND_ERR_CLOSED',
  ];
  if (typeof code === 'string' && dead.includes(code))
    return new ApiError('not-running', 'the daemon is not running');
  if (code === 'EACCES') return new ApiError('not-running', 'the daemon’s socket belongs to another user');
  return new ApiError(
    'internal',
    `the daemon did not answer (${typeof code === 'string' ? code : 'unknown reason'})`,
  );
}
