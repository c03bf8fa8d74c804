import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { handlersOf } from '../../src/api/handlers.ts';
import { buildDoor } from '../../src/api/http-server.ts';
import { type Door, doorLimits } from '../../src/api/limits.ts';
import { problemKinds } from '../../src/api/problem.ts';
import type { Route } from '../../src/api/route.ts';
import { routes } from '../../src/api/routes.ts';
import { loopbackNames } from '../../src/api/tcp-door.ts';
import { DaemonError } from '../../src/node/errors.ts';
import { silentLog } from '../../src/node/log.ts';
import type { KeyView } from '../../src/node/views/view.ts';
import { asDaemon, type FakeDaemon, fakeDaemon, noEvents, prospectsWith, sampleKey } from './fake-daemon.ts';

/**
 * What is open to whoever reaches the TCP address, and what is the home's owner's only: decided route by
 * route.
 */
const onTcp = [
  'decrypt',
  'epoch',
  'epochs',
  'events',
  'health',
  'jwks',
  'key',
  'keyJwk',
  'keyPem',
  'keySsh',
  'keys',
  'openapi',
  'peers',
  'ready',
  'sign',
  'status',
  'submitOrder',
  'verify',
];
const onSocketOnly = ['audit', 'creation', 'found', 'invite', 'links', 'refresh', 'submitDealings'];

const ofOne = doorLimits.tcp.ofOneRemote as NonNullable<(typeof doorLimits)['tcp']['ofOneRemote']>;

/** A key of which nobody knows the private half. */
const key: KeyView = {
  name: 'ca',
  id: 'ab'.repeat(32),
  kind: 'rsa',
  use: 'sign',
  bits: 2048,
  public: sampleKey,
  pem: '',
};

describe('the two doors of the API', () => {
  let daemon: FakeDaemon;
  const apps = {} as Record<Door, FastifyInstance>;
  const events = noEvents();
  beforeAll(async () => {
    daemon = fakeDaemon();
    daemon.keys = () => [key];
    const common = { handlers: handlersOf(asDaemon(daemon)), events, log: silentLog };
    apps.socket = await buildDoor({ ...common, door: 'socket' });
    apps.tcp = await buildDoor({ ...common, door: 'tcp', hosts: loopbackNames });
  });
  afterAll(async () => {
    events.close();
    await apps.socket.close();
    await apps.tcp.close();
  });

  const ask = async (
    method: string,
    url: string,
    { door = 'tcp', ...more }: { door?: Door; body?: string; headers?: Record<string, string> } = {},
  ) => {
    // Each test is another remote: the rate of one address is a test of its own.
    const headers = { host: '127.0.0.1:4180', ...more.headers };
    const given = { method: method as 'GET', url, headers, remoteAddress: `192.0.2.${remote++ % 250}` };
    const answer = await apps[door].inject(
      more.body === undefined ? given : { ...given, payload: more.body },
    );
    return { status: answer.statusCode, headers: answer.headers, text: answer.body };
  };
  let remote = 0;
  const json = { 'content-type': 'application/json' };

  test('every route is on one of the two lists', () => {
    const of = (doors: Route['doors']) =>
      Object.entries(routes).flatMap(([id, route]) => (route.doors === doors ? [id] : []));
    expect(of('everywhere').sort()).toEqual(onTcp);
    expect(of('socket').sort()).toEqual(onSocketOnly);
  });

  test.each(onSocketOnly)('over TCP %s is refused, and the daemon hears nothing of it', async (id) => {
    const { method, path } = routes[id as keyof typeof routes];
    const url = path.replace(/\{\w+\}/, '00'.repeat(32));
    const body = { body: '{}', headers: json };
    const answer = await ask(method, url, method === 'GET' ? {} : body);
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.text)).toMatchObject({ code: 'socket-only' });
  });

  test('over TCP a use of a key without a client’s signature, and an order without an operator’s, are malformed', async () => {
    const request = {
      operation: 'sign',
      kind: 'rsa',
      asked: { scheme: 'pkcs1', hash: 'sha256', digest: '00'.repeat(32) },
    };
    for (const [url, body] of [
      ['/v1/sign', { request }],
      ['/v1/decrypt', { request: { operation: 'decrypt' } }],
      ['/v1/orders', { order: 'AAAA' }],
    ] as const) {
      const { status, text } = await ask('POST', url, { body: JSON.stringify(body), headers: json });
      expect([status, JSON.parse(text).code]).toEqual([400, 'malformed']);
    }
  });

  test.each([
    ['GET', '/nothing', {}, 'no-such-resource'],
    ['DELETE', '/v1/status', {}, 'wrong-method'],
    ['GET', '/v1/sign', {}, 'wrong-method'],
    ['POST', '/v1/verify', { body: '{}', headers: { 'content-type': 'text/plain' } }, 'wrong-media-type'],
    ['POST', '/v1/verify', { body: '{', headers: json }, 'malformed'],
    ['POST', '/v1/verify', { body: 'x'.repeat(200_000), headers: json }, 'too-large'],
    ['GET', '/v1/keys/none', {}, 'unknown'],
    ['GET', '/v1/epochs/-1', {}, 'malformed'],
    ['GET', '/v1/epochs/', {}, 'malformed'],
    ['GET', '/v1/epochs/1e3', {}, 'malformed'],
    ['GET', '/v1/keys/%', {}, 'malformed'],
    ['GET', '/v1/status', { headers: { host: 'evil.example:4180' } }, 'misdirected'],
  ] as const)('%s %s is answered with a problem document', async (method, url, more, code) => {
    const { status, headers, text } = await ask(method, url, more);
    expect(headers['content-type']).toMatch(/^application\/problem\+json/);
    expect(JSON.parse(text)).toMatchObject({
      type: `urn:holdfast:problem:${code}`,
      title: problemKinds[code].title,
      status: problemKinds[code].status,
      code,
    });
    expect(status).toBe(problemKinds[code].status);
    if (code === 'wrong-method') expect(headers.allow).toBe(method === 'GET' ? 'POST' : 'GET, HEAD');
  });

  test('is alive at once, and ready when it holds its share and enough others do', async () => {
    expect(await ask('GET', '/health')).toMatchObject({ status: 200, text: '{"alive":true}' });
    expect(await ask('GET', '/ready')).toMatchObject({ status: 200, text: '{"ready":true}' });
    const before = daemon.shown;
    for (const [change, detail] of [
      [prospectsWith('a'), 'a use of a key needs 2 members that hold their shares, and 1 can be reached'],
      [{ shareEpochs: [] }, 'this peer holds no share of epoch 0'],
      [{ state: 'waiting-for-admission' }, 'this peer waits for admission'],
      [{ state: 'evicted' }, 'this peer was evicted'],
    ] as const) {
      daemon.shown = { ...before, ...change } as typeof before;
      const { status, headers, text } = await ask('GET', '/ready');
      expect([status, headers['retry-after']]).toEqual([503, '5']);
      expect(JSON.parse(text)).toMatchObject({ code: 'not-ready', detail });
      expect((await ask('GET', '/health')).status).toBe(200);
    }
    daemon.shown = before;
  });

  test.each(['127.0.0.1:4180', 'localhost', '[::1]:4180'])(
    'is served as %s on this machine',
    async (host) => {
      expect((await ask('GET', '/health', { headers: { host } })).status).toBe(200);
    },
  );

  test('shows public keys as PEM, SSH, JWK and a key set', async () => {
    const pem = await ask('GET', '/v1/keys/ca/pem');
    expect(pem.text).toMatch(/^-----BEGIN PUBLIC KEY-----\n/);
    expect((await ask('GET', '/v1/keys/ca/ssh')).text).toMatch(/^ssh-rsa AAAA\S+ ca\n$/);
    const jwk = await ask('GET', '/v1/keys/ca/jwk');
    expect(jwk.headers['content-type']).toMatch(/^application\/jwk\+json/);
    expect(JSON.parse(jwk.text)).toMatchObject({ kty: 'RSA', e: 'AQAB', kid: 'ca', use: 'sig' });
    const set = await ask('GET', '/.well-known/jwks.json');
    expect(JSON.parse(set.text)).toEqual({ keys: [JSON.parse(jwk.text)] });
  });

  test('tells a false signature from a true one', async () => {
    // 1 is the signature of no digest; a true one is made in the test of a generated client.
    const signature = Buffer.from(`${'00'.repeat(255)}01`, 'hex').toString('base64');
    const check = (digest: string, scheme = 'pkcs1') => {
      const asked = { scheme, hash: 'sha256', digest };
      return ask('POST', '/v1/verify', {
        ...{ body: JSON.stringify({ key: 'ca', asked, signature }), headers: json },
      });
    };
    expect(JSON.parse((await check('00'.repeat(32))).text)).toEqual({ valid: false });
    // Whoever verifies does not know the salt of PSS.
    expect(JSON.parse((await check('00'.repeat(32), 'pss')).text)).toEqual({ valid: false });
    expect(JSON.parse((await check('00')).text)).toMatchObject({ code: 'malformed' });
  });

  test.each([
    ['GET', '/health', 'localhost', 200, '203.0.113.1'],
    ['GET', '/nothing', 'localhost', 404, '203.0.113.2'],
    ['DELETE', '/health', 'localhost', 405, '203.0.113.4'],
    ['GET', '/health', 'evil.example', 421, '203.0.113.5'],
    ['GET', '/v1/keys/%', 'localhost', 400, '203.0.113.6'],
  ] as const)(
    'an address that asks for %s %s of %s too often is told when to come back, and others are answered',
    async (method, url, host, status, often) => {
      const from = (remoteAddress: string) =>
        apps.tcp.inject({ method, url, headers: { host }, remoteAddress });
      // More than two seconds allow, in case a second ends among them.
      const answers = await Promise.all(
        Array.from({ length: 3 * ofOne.requestsPerSecondMax }, () => from(often)),
      );
      const refused = answers.filter(({ statusCode }) => statusCode === 429);
      expect(refused.length).toBeGreaterThan(0);
      expect(refused[0]?.json()).toMatchObject({ code: 'too-many-requests', status: 429 });
      expect(refused[0]?.headers['retry-after']).toBe('1');
      expect((await from('203.0.113.3')).statusCode).toBe(status);
    },
  );

  const hex = (length: number) => '00'.repeat(length);
  const common = { v: 1, cluster: hex(32), client: hex(32), key: hex(32), nonce: hex(16), expiresAtMs: 1 };
  const asked = { scheme: 'pkcs1', hash: 'sha256', digest: hex(32) };
  const how = { operation: 'sign', kind: 'rsa', asked };
  const signature = Buffer.alloc(64).toString('base64');
  const body = JSON.stringify({ request: { ...common, ...how, signature } });

  test('a request of a later version is refused as such, whatever else is in it', async () => {
    for (const request of [
      { ...common, ...how, signature, v: 2 },
      { v: 3, operation: 'wrap', later: [1] },
    ]) {
      const payload = JSON.stringify({ request });
      const headers = { host: 'localhost', 'content-type': 'application/json' };
      const answer = await apps.tcp.inject({ method: 'POST', url: '/v1/sign', headers, payload });
      expect(answer.json()).toMatchObject({ code: 'refused', details: { rule: 'other-version' } });
      expect(answer.json().detail).toContain(`a request to use a key has version ${request.v}`);
    }
  });

  test('one address holds a quarter of the uses of keys at most, and others find room', async () => {
    const ends: Array<(error: Error) => void> = [];
    daemon.sign = () => new Promise((_, reject) => ends.push(reject));
    const sign = (remoteAddress: string) =>
      apps.tcp.inject({
        ...{ method: 'POST', url: '/v1/sign', payload: body, remoteAddress },
        headers: { host: 'localhost', ...json },
      });
    // Of one IPv6 network, in which one machine may have any address.
    const greedy = (at: number) => sign(`2001:db8::${at.toString(16)}`);
    const under = Array.from({ length: ofOne.usesMax }, (_, at) => greedy(at));
    while (ends.length < ofOne.usesMax) await new Promise((resolve) => setImmediate(resolve));
    const over = await greedy(ofOne.usesMax);
    expect([over.statusCode, over.json().code]).toEqual([429, 'too-many-requests']);
    const another = sign('2001:db8:0:1::1');
    while (ends.length < ofOne.usesMax + 1) await new Promise((resolve) => setImmediate(resolve));
    for (const end of ends.splice(0)) end(new DaemonError('refused', 'no'));
    expect((await another).statusCode).toBe(403);
    await Promise.all(under);
    const again = greedy(0);
    while (ends.length < 1) await new Promise((resolve) => setImmediate(resolve));
    ends[0]?.(new DaemonError('refused', 'no'));
    expect((await again).statusCode).toBe(403);
  });

  test('only so many uses of keys are under way at once, and the next finds room when one ends', async () => {
    const ends: Array<(error: Error) => void> = [];
    daemon.sign = () => new Promise((_, reject) => ends.push(reject));
    const sign = () => ask('POST', '/v1/sign', { body, headers: json });
    const { usesMax } = doorLimits.tcp;
    const under = Array.from({ length: usesMax }, sign);
    while (ends.length < usesMax) await new Promise((resolve) => setImmediate(resolve));
    const over = await sign();
    expect([over.status, over.headers['retry-after'], JSON.parse(over.text).code]).toEqual([
      503,
      '1',
      'overloaded',
    ]);
    const refusal = new DaemonError('refused', 'too often', { a: 'over-rate', b: 'over-rate' });
    for (const end of ends.splice(0)) end(refusal);
    for (const { status, headers, text } of await Promise.all(under))
      expect([status, headers['retry-after'], JSON.parse(text).code]).toEqual([429, '60', 'over-rate']);
    const next = sign();
    while (ends.length < 1) await new Promise((resolve) => setImmediate(resolve));
    ends[0]?.(new DaemonError('not-enough-peers', '1 of 2', { b: 'silent' }));
    expect(JSON.parse((await next).text)).toMatchObject({
      code: 'not-enough-peers',
      details: { b: 'silent' },
    });
  });

  test('an answer that does not fit its schema is a bug, not the asker’s fault', async () => {
    daemon.peers = () => [{ name: 7 }] as never;
    const { status, text } = await ask('GET', '/v1/peers');
    expect([status, JSON.parse(text).code]).toEqual([500, 'internal']);
  });
});
