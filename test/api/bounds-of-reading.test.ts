/** What a reader on TCP can ask for: under every address that may be listened on, and not too much at once. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { serveApi } from '../../src/api/server.ts';
import { tcpDoorOf } from '../../src/api/tcp-door.ts';
import { silentLog } from '../../src/node/log.ts';
import { parseSettings } from '../../src/node/settings.ts';
import { asDaemon, fakeDaemon } from './fake-daemon.ts';

async function served(apiListen: string): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-tcp-'));
  const tcp = tcpDoorOf(parseSettings(JSON.stringify({ name: 'a', apiListen })), dir);
  const daemon = asDaemon(Object.assign(fakeDaemon(), { epochs: () => [] }));
  const server = await serveApi({ daemon, socketFile: join(dir, 'api.sock'), tcp, log: silentLog });
  onTestFinished(async () => {
    await server.close();
    rmSync(dir, { recursive: true });
  });
  return server.tcpUrl as string;
}

test('every loopback address answers under its own name, and under no other', async () => {
  for (const listen of ['127.0.0.1:0', '127.0.0.2:0', '127.1.2.3:0']) {
    const url = await served(listen);
    expect((await fetch(`${url}/health`)).status).toBe(200);
  }
});

test('of the history only a page at once', async () => {
  const url = await served('127.0.0.1:0');
  expect((await fetch(`${url}/v1/epochs?limit=100`)).status).toBe(200);
  const refused = await fetch(`${url}/v1/epochs?limit=101`);
  expect(refused.status).toBe(400);
  expect(await refused.text()).toContain('100');
});
