import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type ApiServer, serveApi } from '../../src/api/server.ts';
import { claimSocket } from '../../src/api/socket.ts';
import { type ApiClient, connectApi } from '../../src/client/api-client.ts';
import { DaemonError, type DaemonErrorCode } from '../../src/node/errors.ts';
import { silentLog } from '../../src/node/log.ts';
import type { DecryptAnswer } from '../../src/node/use/answers.ts';
import { ProtocolError } from '../../src/protocol/records/errors.ts';
import type { Order } from '../../src/protocol/records/order.ts';
import type { Packet } from '../../src/protocol/records/packet.ts';
import {
  type DecryptBody,
  type SignBody,
  UseRefusal,
  type UseRequest,
} from '../../src/protocol/records/use-request.ts';
import { asDaemon, type FakeDaemon, fakeDaemon } from './fake-daemon.ts';

const bytes = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill);

const order: Order = {
  body: {
    v: 1,
    cluster: bytes(32, 1),
    ancestor: bytes(32, 2),
    ancestorEpoch: 3,
    sequence: 4,
    actions: [{ type: 'evict', index: 5 }],
  },
  signatures: [{ operator: 0, signature: bytes(64, 6) }],
};
const use: UseRequest<SignBody> = {
  body: {
    v: 1,
    cluster: bytes(32, 1),
    client: bytes(32, 2),
    key: bytes(32, 3),
    operation: 'sign',
    kind: 'rsa',
    asked: { scheme: 'pss', hash: 'sha256', digest: bytes(32, 4), salt: bytes(32, 5) },
    nonce: bytes(16, 6),
    expiresAtMs: 7,
  },
  signature: bytes(64, 8),
};

describe('the API over a Unix socket', () => {
  let dir: string;
  let socketFile: string;
  let daemon: FakeDaemon;
  let server: ApiServer;
  let client: ApiClient;

  const serve = () => serveApi({ daemon: asDaemon(daemon), socketFile, log: silentLog });
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'holdfast-api-'));
    socketFile = join(dir, 'api.sock');
    daemon = fakeDaemon();
    server = await serve();
    client = connectApi(socketFile);
  });
  afterEach(async () => {
    await client.close();
    await server.close();
    rmSync(dir, { recursive: true, force: true });
  });

  /** A raw request, as another program would make it. */
  const raw = async (method: 'GET' | 'POST', path: string, body?: string) => {
    const dispatcher = new Agent({ connect: { socketPath: socketFile } });
    const headers = { 'content-type': 'application/json' };
    const response = await request(`http://x${path}`, {
      dispatcher,
      method,
      ...(body === undefined ? {} : { body, headers }),
    });
    const answer = {
      status: response.statusCode,
      type: response.headers['content-type'],
      data: await response.body.json(),
    };
    await dispatcher.destroy();
    return answer;
  };

  test('carries sealed partials byte for byte, and each operation has its own address', async () => {
    const { cluster, client: publicKey, key, nonce, expiresAtMs } = use.body;
    const request: UseRequest<DecryptBody> = {
      body: {
        v: 1,
        operation: 'decrypt',
        ...{ cluster, client: publicKey, key, nonce, expiresAtMs },
        kind: 'rsa',
        asked: { ciphertext: bytes(256, 4) },
        sealingKey: bytes(32, 5),
      },
      signature: bytes(64, 8),
    };
    const number = bytes(1, 3);
    const answer: DecryptAnswer = {
      epoch: 4,
      threshold: 2,
      membersMax: 20,
      key: {
        id: key,
        name: 'vault',
        kind: 'rsa',
        use: 'decrypt',
        public: number,
        creation: null,
      },
      commitments: [number, bytes(2, 9)],
      partials: [{ index: 1, name: 'a', envelope: bytes(300, 1) }],
    };
    const seen: unknown[] = [];
    daemon.decrypt = async (...given) => {
      seen.push(given);
      return answer;
    };
    expect(await client.decrypt(request, { prove: true, timeoutMs: 1234 })).toEqual(answer);
    expect(seen).toEqual([[request, { prove: true, timeoutMs: 1234, gone: expect.any(AbortSignal) }]]);
    const { data } = await raw('POST', '/v1/sign', JSON.stringify({ request: { operation: 'decrypt' } }));
    expect(data).toMatchObject({ code: 'malformed' });
  });

  test('is open to its owner only', () => {
    expect(statSync(socketFile).mode & 0o777).toBe(0o600);
  });

  test('carries orders, dealings and requests byte for byte', async () => {
    const seen: unknown[] = [];
    const packet: Packet = { body: bytes(1000, 9), signature: bytes(64, 1) };
    daemon.submitOrder = async (given) => void seen.push(given);
    daemon.submitDealings = async (given) => void seen.push(given);
    daemon.sign = async (given, timeoutMs) => {
      seen.push(given, timeoutMs);
      return { signature: bytes(256, 7), epoch: 1, signers: ['a', 'b'] };
    };
    await client.submitOrder(order);
    await client.submitDealings([packet]);
    const answer = await client.sign(use, 1234);
    expect(seen).toEqual([order, [packet], use, 1234]);
    expect(answer).toEqual({ signature: bytes(256, 7), epoch: 1, signers: ['a', 'b'] });
  });

  test.each<[DaemonErrorCode, number]>([
    ['refused', 403],
    ['unknown', 404],
    ['not-a-member', 409],
    ['busy', 429],
    ['not-enough-peers', 503],
  ])('answers %s as a problem document with status %i', async (code, status) => {
    daemon.refresh = () => {
      throw new DaemonError(code, 'what happened', { b: 'not connected' });
    };
    const answer = await raw('POST', '/v1/refresh', '{}');
    expect(answer.type).toMatch(/^application\/problem\+json/);
    expect(answer.data).toMatchObject({
      type: `urn:holdfast:problem:${code}`,
      status,
      code,
      detail: 'what happened',
      details: { b: 'not connected' },
    });
    expect(answer.status).toBe(status);
    await expect(client.refresh()).rejects.toMatchObject({ code, message: 'what happened' });
  });

  test('names the rule by which the protocol refuses', async () => {
    daemon.submitOrder = async () => {
      throw new ProtocolError('bad-order', 'a member named b exists already');
    };
    daemon.sign = async () => {
      throw new UseRefusal('not-allowed', 'client ci may not sign with key ca');
    };
    await expect(client.submitOrder(order)).rejects.toMatchObject({
      code: 'refused',
      details: { rule: 'bad-order' },
    });
    await expect(client.sign(use, 10)).rejects.toMatchObject({
      code: 'refused',
      details: { rule: 'not-allowed' },
    });
  });

  test.each([
    ['POST', '/v1/orders', '{"order":"AAAA"}', 400, 'malformed'],
    ['POST', '/v1/orders', '{"order":7}', 400, 'malformed'],
    ['POST', '/v1/orders', '{"order":"AAAA","more":1}', 400, 'malformed'],
    ['POST', '/v1/orders', '{', 400, 'malformed'],
    ['POST', '/v1/sign', '{"request":"AAAA","timeoutMs":-1}', 400, 'malformed'],
    ['GET', '/v1/epochs/x', undefined, 400, 'malformed'],
    ['GET', '/v1/creation/abc', undefined, 400, 'malformed'],
    ['GET', '/v1/nothing', undefined, 404, 'no-such-resource'],
  ] as const)('refuses %s %s %s', async (method, path, body, status, code) => {
    expect(await raw(method, path, body)).toMatchObject({ status, data: { code } });
  });

  test('keeps the text of a bug inside', async () => {
    daemon.keys = () => {
      throw new Error('the share is 12345');
    };
    const { status, data } = await raw('GET', '/v1/keys');
    expect(status).toBe(500);
    expect(JSON.stringify(data)).not.toContain('12345');
  });

  test('wakes a waiting reader after every change, without polling', async () => {
    let asked = 0;
    const reached = client.until(async () => {
      asked += 1;
      const { epoch } = await client.status();
      if (epoch === 0) {
        daemon.shown = { ...daemon.shown, epoch: 3 };
        daemon.change();
      }
      return epoch === 3 ? epoch : null;
    });
    expect(await reached).toBe(3);
    expect(asked).toBe(2);
  });

  test('gives up waiting when told to, and when the daemon stops', async () => {
    const never = async () => null;
    await expect(client.until(never, AbortSignal.timeout(20))).rejects.toMatchObject({
      name: 'TimeoutError',
    });
    let listening = () => {};
    const listens = new Promise<void>((resolve) => {
      listening = resolve;
    });
    const waiting = client.until(async () => {
      listening();
      return null;
    });
    const failed = expect(waiting).rejects.toMatchObject({ code: 'not-running' });
    await listens;
    await server.close();
    await failed;
    await expect(client.status()).rejects.toMatchObject({ code: 'not-running' });
    server = await serve();
  });

  test('bounds how many readers wait for events', async () => {
    const readers = Array.from({ length: 64 }, () => client.changes());
    for (const reader of readers) await reader.next();
    await expect(client.changes().next()).rejects.toMatchObject({ code: 'busy' });
    await Promise.all(readers.map((reader) => reader.return(undefined as never)));
  });

  test('refuses a socket on which a daemon answers, and takes over a killed one’s', async () => {
    await expect(claimSocket(socketFile)).rejects.toMatchObject({ code: 'in-use' });
    const stale = join(dir, 'stale.sock');
    const listen = `require('net').createServer().listen(${JSON.stringify(stale)}, () => console.log('up'))`;
    const child = spawn(process.execPath, ['-e', listen], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(statSync(stale).isSocket()).toBe(true);
    await claimSocket(stale);
    expect(statSync(stale, { throwIfNoEntry: false })).toBeUndefined();
    writeFileSync(stale, '');
    await expect(claimSocket(stale)).rejects.toMatchObject({ code: 'not-a-socket' });
    await expect(claimSocket(join(dir, 'x'.repeat(120)))).rejects.toMatchObject({ code: 'path-too-long' });
  });
});
