import fc from 'fast-check';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { Changes } from '../../src/api/changes.ts';
import { EventStreams } from '../../src/api/events.ts';
import { handlersOf } from '../../src/api/handlers.ts';
import { buildDoor } from '../../src/api/http-server.ts';
import type { Door } from '../../src/api/limits.ts';
import { problemSchema } from '../../src/api/problem.ts';
import type { Route } from '../../src/api/route.ts';
import { problemsOf, routeIds, routes } from '../../src/api/routes.ts';
import { emptyExtent } from '../../src/node/audit/entry.ts';
import { DaemonError } from '../../src/node/errors.ts';
import type { Log } from '../../src/node/log.ts';
import { silentLog } from '../../src/node/log.ts';
import { asDaemon, fakeDaemon, sampleKey } from './fake-daemon.ts';

const runs = 1000;
const zeros = (length: number): Uint8Array => new Uint8Array(length);
const common = {
  v: 1,
  cluster: zeros(32),
  client: zeros(32),
  key: zeros(32),
  nonce: zeros(16),
  expiresAtMs: 1,
} as const;
const signature = zeros(64);
const sign = {
  ...({ operation: 'sign', kind: 'rsa', ...common } as const),
  asked: { scheme: 'pss', hash: 'sha256', digest: zeros(32), salt: zeros(32) },
};
const decrypt = {
  operation: 'decrypt',
  ...common,
  kind: 'rsa',
  asked: { ciphertext: zeros(256) },
  sealingKey: zeros(32),
} as const;
const order = {
  body: {
    ...({ v: 1, cluster: zeros(32), ancestor: zeros(32), ancestorEpoch: 3, sequence: 4 } as const),
    actions: [{ type: 'evict', index: 5 } as const],
  },
  signatures: [{ operator: 0, signature }],
};

/** A true request for each address that takes one, as JSON. */
const bodies: Record<string, unknown> = {
  '/v1/sign': z.encode(routes.sign.body, { request: { body: sign, signature }, timeoutMs: 100 }),
  '/v1/decrypt': z.encode(routes.decrypt.body, {
    ...{ request: { body: decrypt, signature }, prove: true, timeoutMs: 100 },
  }),
  '/v1/orders': z.encode(routes.submitOrder.body, { order }),
  '/v1/verify': {
    key: 'ca',
    asked: { scheme: 'pkcs1', hash: 'sha256', digest: '00'.repeat(32) },
    signature: Buffer.alloc(256).toString('base64'),
  },
  '/v1/invitation': { openForMs: 1000 },
  '/v1/founding': { link: 'oWFhAQ==' },
  '/v1/dealings': { packets: [Buffer.alloc(100).toString('base64')] },
  '/v1/refresh': {},
};
const paths = [...new Set(Object.values(routes).map(({ path }) => path))];

/** Events whose readers hang up after the first ones: what is injected is answered only when it ends. */
class ShortEvents extends EventStreams {
  override add(...[response, ...rest]: Parameters<EventStreams['add']>): void {
    super.add(response, ...rest);
    response.end();
  }
}

/** The codes that the description names for what was asked, or those of what is no route. */
function documented(method: string, url: string): string[] {
  const path = url.split('?')[0] as string;
  const asked = method === 'HEAD' ? 'GET' : method;
  const id = routeIds.find((one) => {
    const pattern = routes[one].path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]*');
    return routes[one].method === asked && new RegExp(`^${pattern}$`).test(path);
  });
  const noRoute = ['no-such-resource', 'wrong-method', 'wrong-media-type', 'malformed'];
  return id === undefined ? noRoute : problemsOf(id);
}

describe('whatever a program sends', () => {
  const apps = {} as Record<Door, FastifyInstance>;
  let events: EventStreams;
  const bugs: unknown[] = [];
  beforeAll(async () => {
    const daemon = fakeDaemon();
    daemon.keys = () => [
      { name: 'ca', id: '00'.repeat(32), kind: 'rsa', use: 'sign', bits: 2048, public: sampleKey, pem: '' },
    ];
    const refuse = async () => {
      throw new DaemonError('refused', 'no');
    };
    Object.assign(daemon, { sign: refuse, decrypt: refuse, submitOrder: refuse, found: refuse });
    const epoch = async () => {
      throw new DaemonError('unknown', 'not here');
    };
    Object.assign(daemon, { submitDealings: refuse, links: async () => [], epochs: () => [], epoch });
    Object.assign(daemon, {
      peers: () => [],
      audit: () => emptyExtent,
      refresh: () => {},
      invite: async () => 'holdfast1…',
    });
    daemon.creation = () => {
      throw new DaemonError('unknown', 'no such order');
    };
    const log = { ...silentLog, error: (_: object, __: string) => void bugs.push(_) } as Log;
    const handlers = handlersOf(asDaemon(daemon));
    events = new ShortEvents(1, new Changes(asDaemon(daemon)));
    for (const door of ['socket', 'tcp'] as const)
      apps[door] = await buildDoor({ door, handlers, events, log });
  });
  afterAll(async () => {
    events.close();
    await Promise.all(Object.values(apps).map((app) => app.close()));
  });

  let remote = 0;
  const check = async (
    door: Door,
    method: string,
    url: string,
    payload?: string | Buffer,
    contentType = 'application/json',
  ) => {
    remote += 1;
    const given = {
      method: method as 'GET',
      url,
      remoteAddress: `10.0.${(remote >> 8) & 255}.${remote & 255}`,
    };
    const body = payload === undefined ? {} : { payload, headers: { 'content-type': contentType } };
    const { statusCode, headers, body: text } = await apps[door].inject({ ...given, ...body });
    expect(bugs, text).toEqual([]);
    expect(statusCode).toBeLessThan(500);
    if (statusCode < 400 || method === 'HEAD') return statusCode;
    expect(headers['content-type']).toMatch(/^application\/problem\+json/);
    const { status, code } = problemSchema.parse(JSON.parse(text));
    expect(status).toBe(statusCode);
    expect(documented(method, url), `${method} ${url}`).toContain(code);
    expect(text.length).toBeLessThan(2000);
    return statusCode;
  };

  const doors = fc.constantFrom<Door>('socket', 'tcp');
  const methods = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS');

  test('is answered with a result or a problem document: any method, address and bytes', async () => {
    const piece = fc.oneof(
      fc.constantFrom('v1', 'keys', 'epochs', '%', '..', ''),
      fc.string({ maxLength: 20 }),
    );
    // `inject` itself takes only what a URL can be, and goes up at a dot or two.
    const anyUrl = fc
      .array(piece, { maxLength: 5 })
      .map((pieces) => `/${pieces.map((one) => one.replaceAll(/[^\x21-\x7e]|[?#\\]/g, '~')).join('/')}`)
      .filter((url) => URL.canParse(url, 'http://localhost') && !/\/\.{1,2}(\/|$)/.test(url));
    const known = fc
      .tuple(
        fc.constantFrom(...paths),
        // A dot alone, or two, is another path.
        fc.string({ maxLength: 80 }).filter((text) => !/^\.{1,2}$/.test(text)),
        fc.webQueryParameters(),
      )
      .map(([path, text, query]) => `${path.replace(/\{\w+\}/, encodeURIComponent(text))}?${query}`);
    const bytes = fc.uint8Array({ maxLength: 300 }).map((data) => Buffer.from(data));
    const types = fc.constantFrom('application/json', 'text/plain', 'application/cbor', 'x', '');
    const any = fc.tuple(
      doors,
      methods,
      fc.oneof(anyUrl, known),
      fc.option(bytes, { nil: undefined }),
      types,
    );
    await fc.assert(
      fc.asyncProperty(any, async (given) => void (await check(...given))),
      { numRuns: runs },
    );
  });

  test('is told what has changed, whatever it says that it saw last', async () => {
    const headerText = fc.string({
      unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)),
    });
    await fc.assert(
      fc.asyncProperty(doors, headerText, async (door, last) => {
        remote += 1;
        const { statusCode, headers, body } = await apps[door].inject({
          url: '/v1/events',
          remoteAddress: `10.1.${(remote >> 8) & 255}.${remote & 255}`,
          headers: { 'last-event-id': last },
        });
        expect([statusCode, headers['content-type']]).toEqual([200, 'text/event-stream']);
        expect(body).toMatch(/^event: status\n/);
      }),
      { numRuns: 200 },
    );
  });

  test('is answered so when it is a true request with anything changed', async () => {
    const anything = fc.oneof(
      fc.jsonValue(),
      fc.string(),
      fc.constantFrom('', '=', 'AAAA', '00', -1, 1e300, null, true, [], {}, '__proto__'),
    );
    /** One value somewhere inside replaced, dropped or added. */
    const changed = (data: unknown, at: readonly number[], value: unknown, how: number): unknown => {
      const [first, ...rest] = at;
      if (first === undefined || typeof data !== 'object' || data === null) return value;
      const entries = Object.entries(data);
      const turn = first % Math.max(1, entries.length);
      const next = entries.flatMap(([name, inner], index) => {
        if (index !== turn) return [[name, inner]];
        if (how === 0) return [];
        return how === 1
          ? [
              [name, inner],
              [`${name}x`, value],
            ]
          : [[name, changed(inner, rest, value, how)]];
      });
      return Array.isArray(data) ? next.map(([, inner]) => inner) : Object.fromEntries(next);
    };
    const mutation = fc.tuple(
      doors,
      fc.constantFrom(...Object.keys(bodies)),
      fc.array(fc.nat(20), { minLength: 1, maxLength: 3 }),
      anything,
      fc.nat(3),
    );
    await fc.assert(
      fc.asyncProperty(mutation, async ([door, path, at, value, how]) => {
        await check(door, 'POST', path, JSON.stringify(changed(bodies[path], at, value, how)));
      }),
      { numRuns: runs },
    );
  });

  test('is answered so when a bit of it flips, or its end is missing', async () => {
    const flip = fc.tuple(doors, fc.constantFrom(...Object.keys(bodies)), fc.nat(), fc.nat(7), fc.boolean());
    await fc.assert(
      fc.asyncProperty(flip, async ([door, path, place, bit, cut]) => {
        const bytes = Buffer.from(JSON.stringify(bodies[path]));
        const at = place % bytes.length;
        bytes[at] = (bytes[at] as number) ^ (1 << bit);
        await check(door, 'POST', path, cut ? bytes.subarray(0, at) : bytes);
      }),
      { numRuns: runs },
    );
  });

  test('and the true requests that were changed do reach the daemon', async () => {
    for (const [path, body] of Object.entries(bodies)) {
      const { doors: open } = Object.values(routes).find((route) => route.path === path) as Route;
      const status = await check('socket', 'POST', path, JSON.stringify(body));
      const reached = ['/v1/founding', '/v1/dealings'].includes(path) ? [400] : [200, 202, 403];
      expect(reached, path).toContain(status);
      expect(await check('tcp', 'POST', path, JSON.stringify(body))).toBe(open === 'socket' ? 403 : status);
    }
  });
});
