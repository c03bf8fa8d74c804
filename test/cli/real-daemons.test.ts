import { randomBytes } from 'node:crypto';
import { appendFileSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OpenAPIClientAxios } from 'openapi-client-axios';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { publicKeyFromPem, verifySignature } from '../../src/keys/rsa/public-forms.ts';
import { Lab } from '../../src/lab/lab.ts';
import { wideFiles } from '../../src/node/daemon/home-inspection.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';

describe('real daemons in their own processes', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create({
      ...{ peers: 3, threshold: 2, ciphers: ['des', 'aes', 'blowfish'] },
      settings: { apiListen: '127.0.0.1:0' },
    });
    await lab.createKey('ca', readyPrimes(2048));
  });
  afterAll(() => lab.close());

  test('three peers with DES, AES and Blowfish refresh, and sign the same before and after', async () => {
    const before = await lab.sign('b', 'ca', 'message');
    const [old] = await lab.api('b').epochs(1);
    await lab.must('c', ['refresh', '--wait']);
    const [fresh] = await lab.api('c').epochs(1);
    expect(fresh?.epoch).toBeGreaterThan(old?.epoch ?? Number.NaN);
    expect((await lab.sign('c', 'ca', 'message')).equals(before)).toBe(true);
  });

  test('a client generated from the OpenAPI document signs over TCP, once for a repeated request, and hands in an order', async () => {
    const log = readFileSync(lab.peer('b').logFile, 'utf8');
    const url = /the API listens on (http:\S+)/.exec(log)?.[1] as string;
    const args = ['client', 'add', 'build', '--key', 'ca', '--may', 'sign', '--rate', '1/min', '--open'];
    await lab.must('a', args);
    const client = join(lab.peer('a').home, 'clients', 'build.key');
    const request = async (of: string) => {
      const how = ['--scheme', 'pss', '--client', client, '--api', url];
      const made = await lab.must('b', ['client', 'sign-request', '--key', 'ca', ...how], of);
      return JSON.parse(made.toString('utf8')) as { request: { asked: Record<string, string> } };
    };

    const definition = `${url}/openapi.json`;
    const generated = await new OpenAPIClientAxios({
      definition,
      axiosConfigDefaults: { baseURL: url },
    }).init();
    const asked = await request('message');
    const signed = async () =>
      (await generated.sign?.({}, asked))?.data as { signature: string; epoch: number; signers: string[] };
    const { signature, signers } = await signed();
    expect(signers).toHaveLength(2);
    expect((await signed()).signature).toBe(signature);

    const pem = (await generated.keyPem?.({ name: 'ca' }))?.data as string;
    const signedBytes = new Uint8Array(Buffer.from(signature, 'base64'));
    const check = { scheme: 'pss', hash: 'sha256', signature: signedBytes } as const;
    const signedData = { data: new Uint8Array(Buffer.from('message')) };
    expect(verifySignature({ ...check, key: publicKeyFromPem(pem), signed: signedData })).toBe(true);
    const what = asked.request.asked;
    const verdict = await generated.verify?.({}, { key: 'ca', asked: what, signature });
    expect(verdict?.data).toEqual({ valid: true });

    const another = await generated.sign?.(
      {},
      { ...(await request('another')), timeoutMs: 2000 },
      {
        validateStatus: () => true,
      },
    );
    expect([another?.status, another?.data]).toMatchObject([429, { code: 'over-rate' }]);

    const file = join(lab.dir, 'remove-build.order');
    await lab.must('a', ['client', 'remove', 'build', '--order-file', file]);
    const order = readFileSync(file, 'utf8').trim();
    const forged = `${order.slice(0, -5)}${order.endsWith('AAAAA') ? 'BBBBB' : 'AAAAA'}`;
    const anyStatus = { validateStatus: () => true };
    const refused = await generated.submitOrder?.({}, { order: forged }, anyStatus);
    expect(refused?.data).toMatchObject({
      status: expect.toSatisfy((status) => [400, 403].includes(status)),
    });
    const [before] = await lab.api('a').epochs(1);
    expect((await generated.submitOrder?.({}, { order }))?.status).toBe(202);
    await lab.untilEpoch((before?.epoch ?? Number.NaN) + 1);
    expect((await generated.sign?.({}, asked, anyStatus))?.data).toMatchObject({ code: 'refused' });

    expect(await lab.run('c', ['refresh', '--api', url])).toMatchObject({
      code: 3,
      stderr: 'holdfast: holdfast refresh asks the daemon of the home at its socket only; leave out --api\n',
    });
    const fromAfar = ['status', '--json', '--home', '/nowhere', '--api', url];
    expect(JSON.parse((await lab.must('c', fromAfar)).toString())).toMatchObject({ name: 'b' });
  });

  test('a second daemon on one home is refused with one clear line', async () => {
    const { code, stdout, stderr } = await lab.run('b', ['start']);
    expect(code).toBe(1);
    expect(stdout.toString()).toBe('');
    expect(stderr).toBe('holdfast: a daemon is already running on this home; stop it first\n');
    expect((await lab.api('b').status()).name).toBe('b');
  });

  test('a killed daemon leaves its socket behind and starts again', async () => {
    const socket = join(lab.peer('c').home, 'api.sock');
    await lab.kill('c');
    expect(statSync(socket).isSocket()).toBe(true);
    expect((await lab.run('c', ['status'])).code).toBe(5);
    await lab.start('c');
    expect((await lab.api('c').status()).state).toBe('member');
    expect(statSync(socket).mode & 0o777).toBe(0o600);
  });

  test('a daemon that is stopped ends cleanly and takes its socket with it', async () => {
    await lab.stop('c');
    expect(readdirSync(lab.peer('c').home)).not.toContain('api.sock');
    await lab.start('c');
  });

  test('all files of a running peer are its owner’s only, and no first epoch key is left', () => {
    const { home } = lab.peer('b');
    expect(readdirSync(home)).not.toContain('first-epoch-key');
    expect(wideFiles(home)).toEqual([]);
  });

  test('an epoch change waits for a paused peer, tells whoever listens, and goes on when it is back', async () => {
    const status = await lab.api('a').status();
    lab.pause('c');
    const told = lab.until('a', async (api) => {
      const { problems } = await api.status();
      return problems.find((problem) => problem.code === 'refresh-waits') ?? null;
    });
    const { code, stderr } = await lab.run('a', ['refresh', '--wait', '--timeout', '2s']);
    expect(code).toBe(4);
    expect(stderr).toContain(`epoch ${status.epoch} is still the newest`);
    expect((await told).what).toContain('missing: c');
    lab.resume('c');
    await lab.untilEpoch((status.epoch ?? 0) + 1);
  });

  test('a newcomer with a member’s name is refused', async () => {
    const { code, stderr } = await lab.run('a', ['admit', 'b', '--yes', 'x']);
    expect(code).toBe(3);
    expect(stderr).toContain('a member named b exists already');
  });

  test('a settings file that was spoiled stops the start with file and line', async () => {
    await lab.stop('c');
    const file = join(lab.peer('c').home, 'settings.yaml');
    appendFileSync(file, `\nnonsense: ${randomBytes(2).toString('hex')}x\n`);
    const { code, stderr } = await lab.run('c', ['start']);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^holdfast: settings\.yaml:\d+: there is no setting nonsense; there are (\w+, )+\w+\n$/,
    );
  });
});
