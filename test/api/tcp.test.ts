import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { resources } from '../../src/api/changes.ts';
import { handlersOf } from '../../src/api/handlers.ts';
import { buildDoor } from '../../src/api/http-server.ts';
import { apiLimits, doorLimits } from '../../src/api/limits.ts';
import { type ApiServer, serveApi } from '../../src/api/server.ts';
import { tcpDoorOf } from '../../src/api/tcp-door.ts';
import { connectApi } from '../../src/client/api-client.ts';
import { DaemonError } from '../../src/node/errors.ts';
import { silentLog } from '../../src/node/log.ts';
import { parseSettings, type Settings } from '../../src/node/settings.ts';
import { asDaemon, type FakeDaemon, fakeDaemon, noEvents } from './fake-daemon.ts';

let dir: string;
const path = (name: string): string => join(dir, name);
/** A key and a certificate for 127.0.0.1 that it signs itself. */
function makeCertificate(name: string): void {
  const subject = ['-subj', '/CN=holdfast', '-addext', 'subjectAltName=IP:127.0.0.1'];
  const files = ['-keyout', path(`${name}.key`), '-out', path(`${name}.crt`)];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc', '-days', '2'];
  execFileSync('openssl', ['req', '-x509', ...kind, ...files, ...subject], { stdio: 'ignore' });
  chmodSync(path(`${name}.key`), 0o600);
}
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'holdfast-tcp-'));
  makeCertificate('api');
  makeCertificate('other');
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const settings = (more: object): Settings => parseSettings(JSON.stringify({ name: 'a', ...more }));
const withTls = { apiListen: '127.0.0.1:0', apiCertificate: 'api.crt', apiCertificateKey: 'api.key' };

describe('the API over TCP', () => {
  let daemon: FakeDaemon;
  let server: ApiServer | null = null;
  const sockets: Socket[] = [];
  const serve = async (more: object = { apiListen: '127.0.0.1:0' }): Promise<string> => {
    daemon = fakeDaemon();
    const socketFile = path('api.sock');
    const tcp = tcpDoorOf(settings(more), dir);
    server = await serveApi({ daemon: asDaemon(daemon), socketFile, tcp, log: silentLog });
    return server.tcpUrl as string;
  };
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await server?.close();
    server = null;
  });
  /** A bare connection, for what no HTTP client would send. */
  const bare = async (url: string, localAddress = '127.0.0.1'): Promise<Socket> => {
    const socket = connect({ port: Number(new URL(url).port), host: '127.0.0.1', localAddress });
    sockets.push(socket.setEncoding('utf8'));
    socket.on('error', () => {});
    await once(socket, 'connect');
    return socket;
  };

  test('is not there unless the settings name an address, and the socket always is', async () => {
    expect(await serve({})).toBeNull();
    const client = connectApi(path('api.sock'));
    expect((await client.status()).name).toBe('a');
    await client.close();
  });

  test('serves one typed client over the socket and over TCP alike', async () => {
    const url = await serve();
    const clients = [path('api.sock'), url].map(connectApi);
    const [bySocket, byTcp] = await Promise.all(clients.map((client) => client.status()));
    expect(byTcp).toEqual(bySocket);
    await expect(clients[1]?.refresh()).rejects.toMatchObject({ code: 'socket-only' });
    await Promise.all(clients.map((client) => client.close()));
  });

  test('speaks TLS with the certificate of the settings, and a client that does not know it says how to', async () => {
    const url = await serve(withTls);
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    const knowing = new Agent({ connect: { ca: readFileSync(path('api.crt')) } });
    const answer = await request(`${url}/health`, { dispatcher: knowing });
    expect(await answer.body.json()).toEqual({ alive: true });
    await knowing.destroy();
    const client = connectApi(url);
    await expect(client.status()).rejects.toMatchObject({
      code: 'untrusted',
      message: expect.stringContaining('NODE_EXTRA_CA_CERTS'),
    });
    await client.close();
  });

  test.each([
    [
      'no such file',
      { apiCertificate: 'none.crt' },
      /^apiCertificate \S+none\.crt cannot be read \(ENOENT\)$/,
    ],
    [
      'a key for a certificate',
      { apiCertificate: 'api.key' },
      /^apiCertificate api\.key is no certificate in PEM$/,
    ],
    [
      'a certificate for a key',
      { apiCertificateKey: 'api.crt' },
      /^apiCertificateKey \S+ is (no private|open)/,
    ],
    [
      'another certificate’s key',
      { apiCertificateKey: 'other.key' },
      /^apiCertificateKey \S+other\.key is not the key of apiCertificate; name the two that fit$/,
    ],
  ])('settings with %s are refused in one line', (_, more, line) => {
    expect(() => tcpDoorOf(settings({ ...withTls, ...more }), dir)).toThrow(line);
  });

  test('a key file that others can read is refused, with the command that mends it', () => {
    writeFileSync(path('open.key'), readFileSync(path('api.key')), { mode: 0o640 });
    const wrong = settings({ ...withTls, apiCertificateKey: 'open.key' });
    expect(() => tcpDoorOf(wrong, dir)).toThrow(/ is open to others; run: chmod 600 \S+open\.key$/);
  });

  test('an address that is taken, or is not this machine’s, is refused in one line', async () => {
    const { port } = new URL(await serve());
    const again = (apiListen: string) =>
      serveApi({
        daemon: asDaemon(fakeDaemon()),
        socketFile: path('second.sock'),
        tcp: tcpDoorOf(settings({ ...withTls, apiListen }), dir),
        log: silentLog,
      });
    await expect(again(`127.0.0.1:${port}`)).rejects.toThrow(
      `apiListen 127.0.0.1:${port} cannot be listened on: another program listens there; choose another`,
    );
    await expect(again('192.0.2.1:4180')).rejects.toThrow('it is no address of this machine');
  });

  test.each([
    ['is no HTTP', 'hello\r\n\r\n', 400, 'malformed'],
    [
      'has endless headers',
      `GET / HTTP/1.1\r\nx: ${'a'.repeat(apiLimits.headerBytesMax)}`,
      431,
      'headers-too-large',
    ],
  ])('what %s gets a problem document, and the connection ends', async (_, text, status, code) => {
    const socket = await bare(await serve());
    socket.write(text);
    let answer = '';
    for await (const chunk of socket) answer += chunk;
    expect(answer).toContain(`HTTP/1.1 ${status} `);
    expect(answer).toContain('content-type: application/problem+json');
    expect(answer).toContain(`"code":"${code}"`);
  });

  test('holds no more connections of one address than its share, and no more of all than its bound', async () => {
    const url = await serve();
    const { connectionsMax, ofOneRemote } = doorLimits.tcp;
    const share = ofOneRemote?.connectionsMax as number;
    const open = new Set<Socket>();
    const from = async (address: string, count: number): Promise<number> => {
      for (let at = 0; at < count; at += 1) {
        const socket = await bare(url, address);
        open.add(socket);
        socket.once('close', () => open.delete(socket)).resume();
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
      return open.size;
    };
    expect(await from('127.0.0.2', share + 3)).toBe(share);
    expect(await from('127.0.0.3', 1)).toBe(share + 1);
    for (const address of ['127.0.0.3', '127.0.0.4', '127.0.0.5']) await from(address, share);
    expect(open.size).toBe(connectionsMax);
    expect(await from('127.0.0.6', 3)).toBe(connectionsMax);
    for (const socket of open) socket.destroy();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await from('127.0.0.2', share)).toBe(share);
  });

  test('ends the uses of keys of an asker that hangs up, and gives it room for others', async () => {
    const url = await serve();
    let asked = 0;
    let ended = 0;
    daemon.sign = (_, __, gone) => {
      asked += 1;
      return new Promise((___, reject) =>
        gone?.addEventListener('abort', () => {
          ended += 1;
          reject(new DaemonError('not-enough-peers', 'none'));
        }),
      );
    };
    const zeros = (length: number) => '00'.repeat(length);
    const common = {
      v: 1,
      cluster: zeros(32),
      client: zeros(32),
      key: zeros(32),
      nonce: zeros(16),
      expiresAtMs: 1,
    };
    const what = { scheme: 'pkcs1', hash: 'sha256', digest: zeros(32) };
    const how = { operation: 'sign', kind: 'rsa', asked: what };
    const signature = Buffer.alloc(64).toString('base64');
    const body = JSON.stringify({ request: { ...common, ...how, signature }, timeoutMs: 300_000 });
    const headers = { 'content-type': 'application/json' };
    const share = doorLimits.tcp.ofOneRemote?.usesMax as number;
    for (const round of [1, 2]) {
      const agent = new Agent();
      const ask = () => request(`${url}/v1/sign`, { method: 'POST', headers, body, dispatcher: agent });
      const under = Array.from({ length: share }, () => ask().catch(() => {}));
      await expect.poll(() => asked).toBe(round * share);
      expect((await ask()).statusCode).toBe(429);
      await agent.destroy();
      await Promise.all(under);
      await expect.poll(() => ended).toBe(round * share);
    }
  });

  test('lets one address wait for a quarter of the events that it can serve, and another too', async () => {
    const url = await serve();
    const share = doorLimits.tcp.ofOneRemote?.eventStreamsMax as number;
    const agent = new Agent({ localAddress: '127.0.0.2' });
    const another = new Agent({ localAddress: '127.0.0.3' });
    const open = async (dispatcher: Agent) => {
      const { statusCode, body } = await request(`${url}/v1/events`, { dispatcher });
      body.on('error', () => {}); // it ends with its agent
      return statusCode;
    };
    for (let count = 0; count < share; count += 1) expect(await open(agent)).toBe(200);
    expect(await open(agent)).toBe(429);
    expect(await open(another)).toBe(200);
    await agent.destroy();
    const back = new Agent({ localAddress: '127.0.0.2' });
    await expect.poll(() => open(back)).toBe(200); // the server sees within milliseconds who is gone
    await Promise.all([another.destroy(), back.destroy()]);
  });

  test('events have ids: whoever comes back with the newest has missed nothing, whoever has an older one is told', async () => {
    const url = await serve();
    const agent = new Agent();
    const open = async (last?: string) => {
      const headers = last === undefined ? {} : { 'last-event-id': last };
      const { body } = await request(`${url}/v1/events`, { dispatcher: agent, headers });
      const chunks = body.setEncoding('utf8')[Symbol.asyncIterator]();
      return async () => String((await chunks.next()).value);
    };
    const first = await open();
    const all = resources.map(
      (name) => `event: ${name}\n(id: \\S+\n)?data: {"resource":"/v1/${name}\\S*"}\n\n`,
    );
    const begun = await first();
    expect(begun).toMatch(new RegExp(`^${all.join('')}$`));
    const id = /id: (\S+)/.exec(begun)?.[1] as string;
    const upToDate = await open(id);
    expect(await upToDate()).toBe(': nothing was missed\n\n');
    daemon.shown = { ...daemon.shown, epoch: 1 };
    daemon.change();
    const told = await first();
    const next = /id: (\S+)/.exec(told)?.[1];
    expect(told).toBe(`event: status\nid: ${next}\ndata: {"resource":"/v1/status"}\n\n`);
    expect(next).not.toBe(id);
    expect(await upToDate()).toContain(`id: ${next}`);
    const behind = await open(id);
    expect(await behind()).toContain(`event: creation\nid: ${next}`);
    await agent.destroy();
  });
});

describe('a request that does not arrive', () => {
  test.each([
    ['headers', 'GET /health HTTP/1.1\r\nhost: localhost\r\nx: '],
    [
      'a body',
      'POST /v1/verify HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{',
    ],
  ])('with half of %s is given up', async (_, half) => {
    const events = noEvents();
    const app = await buildDoor({
      ...{ door: 'tcp', handlers: handlersOf(asDaemon(fakeDaemon())), events, log: silentLog },
      arrival: { headersMs: 30, requestMs: 60, checkedEveryMs: 10 },
    });
    const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }));
    const socket = connect(Number(port), '127.0.0.1').setEncoding('utf8');
    socket.write(half);
    let answer = '';
    for await (const chunk of socket) answer += chunk;
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('"code":"too-slow"');
    events.close();
    await app.close();
  });
});
