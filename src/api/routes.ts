/**
 * Every address of the API: what it takes, what it answers, and through which door. The server checks
 * requests and answers by these schemas, the client uses them from the other side, and the OpenAPI document
 * is made of them.
 */

import { z } from 'zod';
import { base64Bytes, hexBytes } from '../crypto/bytes-as-text.ts';
import { auditExtentSchema } from '../node/audit/entry.ts';
import { epochViewSchema, keyViewSchema, peerViewSchema, statusViewSchema } from '../node/views/view.ts';
import { limits } from '../protocol/records/limits.ts';
import { linkSchema } from '../protocol/records/link.ts';
import { packetUpTo, shortPacketSchema } from '../protocol/records/packet.ts';
import { keyRecordSchema } from '../protocol/records/value.ts';
import { apiLimits, doorLimits } from './limits.ts';
import type { ProblemCode } from './problem.ts';
import { type Route, route } from './route.ts';
import { decryptRequest, orderText, packed, signAsked, signRequest } from './wire.ts';

/** In decimal digits: an empty text is no 0. */
const epochNumber = z.codec(z.string().regex(/^\d{1,16}$/), z.int().min(0), {
  decode: Number,
  encode: String,
});
const keyName = z.strictObject({ name: z.string().max(limits.nameBytesMax) });
const waiting = z
  .int()
  .min(1)
  .max(limits.useRequestLifetimeMs)
  .default(8000)
  .describe('how long to wait for enough peers');
const text = z.string();

const jwk = z
  .looseObject({
    kty: z.string().describe('RSA, or as the kind of the key says'),
    kid: z.string().describe('the key’s name'),
    use: z.enum(['sig', 'enc']),
  })
  .catchall(z.string());

const useProblems = [
  'refused',
  'not-a-member',
  'over-rate',
  'not-enough-peers',
  'overloaded',
  'unwritable',
] as const;

export const routes = {
  // ── what anybody may read ────────────────────────────────────────────────────────────────────────────────────────
  health: route({
    method: 'GET',
    path: '/health',
    summary: 'Liveness: the daemon runs and answers',
    doors: 'everywhere',
    answer: z.object({ alive: z.literal(true) }),
  }),
  ready: route({
    method: 'GET',
    path: '/ready',
    summary: 'Readiness: this peer holds its shares and sees a quorum; 503 says what is missing',
    doors: 'everywhere',
    answer: z.object({ ready: z.literal(true) }),
    problems: ['not-ready'],
  }),
  openapi: route({
    method: 'GET',
    path: '/openapi.json',
    summary: 'This description (OpenAPI 3.1)',
    doors: 'everywhere',
    answer: z.looseObject({ openapi: z.string() }),
  }),
  status: route({
    method: 'GET',
    path: '/v1/status',
    summary: 'Epoch, who holds it, who is connected, last and next refresh, what is wrong and what to do',
    doors: 'everywhere',
    answer: statusViewSchema,
  }),
  peers: route({
    method: 'GET',
    path: '/v1/peers',
    summary: 'Members, and those who wait for admission',
    doors: 'everywhere',
    answer: z.object({ peers: z.array(peerViewSchema) }),
  }),
  epochs: route({
    method: 'GET',
    path: '/v1/epochs',
    summary: 'History, newest first',
    doors: 'everywhere',
    query: z.strictObject({
      limit: z.coerce
        .number()
        .int()
        .min(1)
        .max(doorLimits.socket.epochsMax)
        .optional()
        .describe(`over TCP at most ${doorLimits.tcp.epochsMax}`),
    }),
    answer: z.object({ epochs: z.array(epochViewSchema) }),
    problems: ['not-a-member'],
  }),
  epoch: route({
    method: 'GET',
    path: '/v1/epochs/{epoch}',
    summary: 'One epoch',
    doors: 'everywhere',
    params: z.strictObject({ epoch: epochNumber }),
    answer: epochViewSchema,
    problems: ['unknown', 'not-a-member', 'busy'],
  }),
  keys: route({
    method: 'GET',
    path: '/v1/keys',
    summary: 'The keys that the group keeps',
    doors: 'everywhere',
    answer: z.object({ keys: z.array(keyViewSchema) }),
    problems: ['not-a-member'],
  }),
  key: route({
    method: 'GET',
    path: '/v1/keys/{name}',
    summary: 'One key',
    doors: 'everywhere',
    params: keyName,
    answer: keyViewSchema,
    problems: ['unknown', 'not-a-member'],
  }),
  keyPem: route({
    method: 'GET',
    path: '/v1/keys/{name}/pem',
    summary: 'The public key as OpenSSL reads it (SubjectPublicKeyInfo)',
    doors: 'everywhere',
    params: keyName,
    mediaType: 'application/x-pem-file',
    answer: text,
    problems: ['unknown', 'not-a-member'],
  }),
  keySsh: route({
    method: 'GET',
    path: '/v1/keys/{name}/ssh',
    summary: 'The public key as a line of authorized_keys',
    doors: 'everywhere',
    params: keyName,
    mediaType: 'text/plain; charset=utf-8',
    answer: text,
    problems: ['unknown', 'not-a-member'],
  }),
  keyJwk: route({
    method: 'GET',
    path: '/v1/keys/{name}/jwk',
    summary: 'The public key as a JSON Web Key (RFC 7517)',
    doors: 'everywhere',
    params: keyName,
    mediaType: 'application/jwk+json',
    answer: jwk,
    problems: ['unknown', 'not-a-member'],
  }),
  jwks: route({
    method: 'GET',
    path: '/.well-known/jwks.json',
    summary: 'All public keys as a JSON Web Key Set (RFC 7517)',
    doors: 'everywhere',
    mediaType: 'application/jwk-set+json',
    answer: z.object({ keys: z.array(jwk) }),
    problems: ['not-a-member'],
  }),
  events: route({
    method: 'GET',
    path: '/v1/events',
    summary: 'Server-sent events: what has changed, so that nobody polls',
    doors: 'everywhere',
    mediaType: 'text/event-stream',
    answer: text.describe(
      'events `status`, `peers`, `epochs`, `keys` and `creation`, after every change of what that address answers, each with the data `{"resource": "/v1/…"}`; at first one of each; `id`, on the last event of a change, is for `Last-Event-ID`',
    ),
    problems: ['busy'],
  }),
  verify: route({
    method: 'POST',
    path: '/v1/verify',
    summary: 'Whether a signature is a key’s; other programs can tell as well',
    doors: 'everywhere',
    body: z.strictObject({
      key: z.string().max(limits.nameBytesMax).describe('the key’s name'),
      asked: signAsked.describe('what was signed, as a request asks for it'),
      signature: base64Bytes(limits.groupElementBytesMax),
    }),
    answer: z.object({ valid: z.boolean() }),
    problems: ['unknown', 'not-a-member'],
  }),

  // ── what a client signs ──────────────────────────────────────────────────────────────────────────────────────────
  sign: route({
    method: 'POST',
    path: '/v1/sign',
    summary: 'A signature, asked for by a client’s signed request (holdfast client sign-request)',
    doors: 'everywhere',
    body: z.strictObject({ request: signRequest, timeoutMs: waiting }),
    answer: z.object({
      signature: base64Bytes(limits.groupElementBytesMax),
      epoch: z.int(),
      signers: z.array(z.string()),
    }),
    problems: useProblems,
    usesKey: true,
  }),
  decrypt: route({
    method: 'POST',
    path: '/v1/decrypt',
    summary: 'Partial decryptions sealed to the client that asks, who alone can open and combine them',
    doors: 'everywhere',
    body: z.strictObject({
      request: decryptRequest,
      prove: z
        .boolean()
        .default(false)
        .describe(
          'with proofs, from everybody who answers at most a moment after enough have: when the others did not combine; who was slower has its answer ready when asked again',
        ),
      timeoutMs: waiting,
    }),
    answer: z.object({
      epoch: z.int(),
      threshold: z.int(),
      membersMax: z.int(),
      key: packed(keyRecordSchema, limits.requestBytesMax),
      commitments: z.array(base64Bytes(limits.groupElementBytesMax)),
      partials: z.array(
        z.object({ index: z.int(), name: z.string(), envelope: base64Bytes(limits.envelopeBytesMax) }),
      ),
    }),
    problems: useProblems,
    usesKey: true,
  }),

  // ── what operators sign ──────────────────────────────────────────────────────────────────────────────────────────
  submitOrder: route({
    method: 'POST',
    path: '/v1/orders',
    summary: 'Hands in an order that operators have signed: the line of the file that --order-file wrote',
    doors: 'everywhere',
    body: z.strictObject({ order: orderText }),
    status: 202,
    answer: z.object({ order: z.string().describe('its hash, hex') }),
    problems: ['refused', 'not-a-member', 'unwritable'],
  }),

  // ── what rests on the mode of the socket ─────────────────────────────────────────────────────────────────────────
  audit: route({
    method: 'GET',
    path: '/v1/audit',
    summary:
      'Where the audit log begins and ends: the last durable line with the hash of its text, and the oldest line kept',
    doors: 'socket',
    answer: auditExtentSchema,
  }),
  links: route({
    method: 'GET',
    path: '/v1/links',
    summary: 'Certified values from an epoch on, for whoever checks the chain itself',
    doors: 'socket',
    query: z.strictObject({ from: epochNumber.default(0) }),
    answer: z.object({ links: z.array(packed(linkSchema, limits.frameBytesMax)) }),
    problems: ['not-a-member'],
  }),
  invite: route({
    method: 'POST',
    path: '/v1/invitation',
    summary: 'Opens the lobby for a while',
    doors: 'socket',
    body: z.strictObject({
      openForMs: z
        .int()
        .min(1000)
        .max(7 * 24 * 60 * 60 * 1000),
    }),
    answer: z.object({ invitation: z.string() }),
  }),
  found: route({
    method: 'POST',
    path: '/v1/founding',
    summary: 'Epoch 0, signed by the operators',
    doors: 'socket',
    body: z.strictObject({ link: packed(linkSchema, limits.frameBytesMax) }),
    bodyBytesMax: apiLimits.frameBodyBytesMax,
    status: 204,
    problems: ['refused', 'not-founded'],
  }),
  creation: route({
    method: 'GET',
    path: '/v1/creation/{order}',
    summary: 'What the dealer of a key needs (protocol §4 “Creation”)',
    doors: 'socket',
    params: z.strictObject({ order: hexBytes(32) }),
    answer: z.object({
      head: packed(linkSchema, limits.frameBytesMax),
      plan: hexBytes(32).nullable(),
      attends: z.array(packed(shortPacketSchema, limits.frameBytesMax)),
      orders: z.array(orderText),
    }),
    problems: ['unknown', 'not-a-member'],
  }),
  submitDealings: route({
    method: 'POST',
    path: '/v1/dealings',
    summary: 'What the dealer of a key deals, one packet for each receiver',
    doors: 'socket',
    body: z.strictObject({
      packets: z
        .array(packed(packetUpTo(limits.dealingBytesMax), limits.frameBytesMax))
        .min(1)
        .max(limits.membersMax),
    }),
    bodyBytesMax: apiLimits.frameBodyBytesMax,
    status: 202,
    problems: ['refused', 'not-a-member'],
  }),
  refresh: route({
    method: 'POST',
    path: '/v1/refresh',
    summary: 'An epoch change as soon as it may begin',
    doors: 'socket',
    status: 202,
    problems: ['not-a-member'],
  }),
} as const;

export type RouteId = keyof typeof routes;
export const routeIds = Object.keys(routes) as RouteId[];

/** What the handler of a route is given. */
export interface Asked<Id extends RouteId> {
  params: z.output<(typeof routes)[Id]['params']>;
  query: z.output<(typeof routes)[Id]['query']>;
  body: z.output<(typeof routes)[Id]['body']>;
}
/** What a caller of a route gives; defaults may be left out. */
export type Asking<Id extends RouteId> = Partial<Asked<Id>>;
/** Before it is encoded, and after it is decoded. */
export type Answer<Id extends RouteId> = z.output<(typeof routes)[Id]['answer']>;

/** Any problem that the route may answer with, whatever it is asked for. */
export function problemsOf(id: RouteId): ProblemCode[] {
  const { method, doors, problems } = routes[id] as Route;
  const body: ProblemCode[] = ['too-large', 'wrong-media-type'];
  return [
    'malformed',
    'too-slow',
    'headers-too-large',
    'too-many-requests',
    'misdirected',
    'internal',
    ...(method === 'POST' ? body : []),
    ...(doors === 'socket' ? (['socket-only'] as const) : []),
    ...problems,
  ];
}
