/**
 * Who may use keys: nobody until a client is made, whose key is sealed, whose rights are its key's, and whose
 * rate is bounded.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openClientKey } from '../../src/cli/key-files.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import type { ServedGroup } from '../support/served-group.ts';
import { Bench, passphrase } from './holdfast.ts';

describe('clients', () => {
  const bench = new Bench();
  let group: ServedGroup;
  const file = (name: string, content: string): string => {
    writeFileSync(bench.path(name), content, { mode: 0o600 });
    return bench.path(name);
  };
  const create = (name: string, first: number, ...more: string[]): string[] => [
    ...['key', 'create', name, '--use', 'sign', '--primes-file', bench.primes(first)],
    ...more,
  ];
  const sealing = (): string[] => ['--client-passphrase-file', file('seal', 'of the client\n')];
  const keyOf = (name: string): string => bench.path(`A/clients/${name}.key`);
  const sign = (...more: string[]) => bench.run(['sign', '--key', 'ca', ...more], { input: 'x' });

  beforeAll(async () => {
    await bench.init();
    group = await bench.serve(['b', 'c']);
    await bench.must(['admit', '--yes', group.fingerprint('b'), group.fingerprint('c')]);
    await bench.must(create('ca', 0));
  });
  afterAll(() => bench.close());

  test('there is none until one is made: whoever reads the first peer’s home cannot use keys', async () => {
    expect(group.head.clients).toEqual([]);
    expect(readdirSync(bench.path('A/clients'))).toEqual([]);
    expect(await sign()).toMatchObject({
      code: 1,
      stderr:
        'holdfast: no client of this home may sign with ca; name the file of one with --client FILE, or make one with: holdfast client add NAME --key ca --may sign\n',
    });
  });

  test('one that is made with its key, by the same order, may use that key only; its file is sealed', async () => {
    const asked = await bench.run(create('web', 2, '--client', 'www'));
    expect([asked.code, asked.stderr]).toEqual([
      2,
      expect.stringContaining(
        'give --client-passphrase-file, the credential holdfast-client-passphrase, or HOLDFAST_CLIENT_PASSPHRASE',
      ),
    ]);
    const { lastOrder } = group.head;
    const work = ['--passphrase-work', '10'];
    const said = await bench.must(create('web', 2, '--client', 'www', ...sealing(), ...work));
    expect(said).toContain(
      `client www may sign with web: 100 requests a minute at each peer; its key is ${keyOf('www')}, sealed\n`,
    );
    expect(group.head.lastOrder).toBe(lastOrder + 1);
    expect(group.head.clients).toMatchObject([
      { name: 'www', rights: [{ key: 'web', operations: ['sign'] }], ratePerMinute: 100 },
    ]);
    expect((await sign('--client', keyOf('www'), ...sealing())).stderr).toContain('may not sign with key ca');
    const { seed } = await openClientKey(keyOf('www'), async () => 'of the client');
    expect(readFileSync(keyOf('www'), 'utf8')).not.toContain(hex(seed));
    expect(statSync(keyOf('www')).mode & 0o777).toBe(0o600);
  });

  test('the passphrase of a sealed one comes as an operator’s does, and is never the operator’s', async () => {
    const use = ['sign', '--key', 'web'];
    const by = (more: string[], env = {}) => bench.run([...use, ...more], { input: 'x', env });
    expect((await by(sealing())).code).toBe(0);
    // The operator's credential is there all the time.
    expect((await by([])).stderr).toContain('give --client-passphrase-file');
    const wrong = await by(['--client-passphrase-file', file('wrong', passphrase)]);
    expect([wrong.code, wrong.stderr]).toEqual([3, expect.stringContaining('the passphrase does not open')]);
    const credential = bench.path('own-credentials');
    execFileSync('mkdir', ['-m', '700', credential]);
    file('own-credentials/holdfast-client-passphrase', 'of the client\n');
    expect((await by([], { CREDENTIALS_DIRECTORY: credential })).code).toBe(0);
    const inherited = await by([], { HOLDFAST_CLIENT_PASSPHRASE: 'of the client' });
    expect([inherited.code, inherited.stderr]).toEqual([
      0,
      expect.stringMatching(
        /^warning: the passphrase is in HOLDFAST_CLIENT_PASSPHRASE.*--client-passphrase-file\n/,
      ),
    ]);
  });

  test('of several that may, one must be named; one that may not is not asked for', async () => {
    const add = ['client', 'add'];
    const rights = ['--may', 'sign', '--open'];
    await bench.must([...add, 'one', '--key', 'ca', ...rights]);
    file('A/clients/notes.key', 'nothing of ours\n');
    expect((await sign()).code).toBe(0);
    await bench.must([...add, 'two', '--key', '*', ...rights]);
    expect(await sign()).toMatchObject({
      code: 2,
      stderr: `holdfast: 2 clients of this home may sign with ca; name one of them: --client ${keyOf('one')}, --client ${keyOf('two')}\n`,
    });
    expect((await sign('--client', keyOf('two'))).code).toBe(0);
    await bench.must(['client', 'remove', 'one']);
    expect((await sign()).code).toBe(0);
  });

  test('a rate without bound is asked for by its name, and warned of', async () => {
    const add = ['client', 'add', 'batch', '--key', 'ca', '--may', 'sign', '--open', '--rate'];
    expect((await bench.run([...add, '0/min'])).code).toBe(2);
    const { code, stderr } = await bench.run([...add, 'unlimited']);
    expect([code, stderr]).toEqual([0, expect.stringMatching(/^warning: client batch is given no bound/)]);
    expect(await bench.must(['client', 'list'])).toMatch(/^batch +sign with ca +unlimited /m);
  });

  test('a file is never written over, and one that was put there is not used without its passphrase', async () => {
    const before = file('A/clients/mine.key', 'mine\n');
    const add = ['client', 'add', 'mine', '--key', 'ca', '--may', 'sign'];
    expect((await bench.run([...add, '--open'])).stderr).toContain('exists already; name another with --out');
    expect(readFileSync(before, 'utf8')).toBe('mine\n');
    const planted = JSON.parse(readFileSync(keyOf('www'), 'utf8'));
    file('A/clients/mine.key', JSON.stringify({ ...planted, name: 'mine', order: group.head.lastOrder + 1 }));
    const wrong = ['--client-passphrase-file', file('wrong', 'another\n')];
    const refused = await bench.run([...add, ...wrong]);
    expect([refused.code, refused.stderr]).toEqual([
      3,
      expect.stringContaining('the passphrase does not open'),
    ]);
    expect(group.head.clients.map(({ name }) => name)).not.toContain('mine');
  });
});
