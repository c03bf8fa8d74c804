import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FakeGroup } from './fake-group.ts';
import { Bench } from './holdfast.ts';

const fixture = JSON.parse(
  readFileSync(new URL('../fixtures/safe-primes.json', import.meta.url), 'utf8'),
) as {
  1024: string[];
};

describe('a group, run from the command line', () => {
  const bench = new Bench();
  let group: FakeGroup;

  beforeAll(async () => {
    await bench.init();
    group = await bench.serve(['b', 'c', 'd']);
    writeFileSync(bench.path('primes'), JSON.stringify({ p: fixture[1024][0], q: fixture[1024][1] }));
    writeFileSync(bench.path('primes2'), JSON.stringify({ p: fixture[1024][2], q: fixture[1024][3] }));
    writeFileSync(bench.path('message'), 'a message\n');
  });
  afterAll(() => bench.close());

  it('refuses to admit a peer whose fingerprint was not given', async () => {
    const { code, stderr } = await bench.run(['admit', 'b', 'c', '--yes', group.fingerprint('b')]);
    expect(code).toBe(3);
    expect(stderr).toContain(`c has the fingerprint ${group.fingerprint('c')}, which is none of those given`);
    expect(group.chain).toHaveLength(0);
  });

  it('asks nobody where nobody can answer', async () => {
    const asked = await bench.run(['admit', 'b', 'c']);
    expect(asked.code).toBe(2);
    expect(asked.stderr).toContain('give --yes FINGERPRINT…');
  });

  it('founds the cluster with the confirmed peers and says what the numbers mean', async () => {
    const names = ['b', 'c', 'd'];
    const said = await bench.must([
      'admit',
      ...names,
      '--yes',
      ...names.map((name) => group.fingerprint(name)),
    ]);
    expect(said).toBe(
      'epoch 0: the cluster is founded by a, b, c, d\n2-of-4: signing survives 2 dead peers; a refresh survives 1 silent or lying of 4\n',
    );
    expect(group.head.clients.map((client) => client.name)).toEqual(['operator']);
  });

  it('refuses a wrong passphrase', async () => {
    const { code, stderr } = await bench.run(['client', 'add', 'x', '--key', '*', '--may', 'sign'], {
      env: { HOLDFAST_OPERATOR_PASSPHRASE: 'wrong' },
    });
    expect(code).toBe(3);
    expect(stderr).toMatch(/the passphrase does not open .*operator\.key; try again with the right one\n$/);
  });

  it('creates a key while one peer is silent: every other one gets its checked share', async () => {
    group.silent.add('d');
    const said = await bench.must([
      'key',
      'create',
      'ca',
      '--use',
      'sign',
      '--primes-file',
      bench.path('primes'),
    ]);
    expect(said).toBe('epoch 1: key ca, 2048 bits, shared 2 of 4\n');
    group.silent.delete('d');
  });

  it('deals again when a refresh comes between the Attends and the dealing', async () => {
    group.refreshFirst = true;
    const epoch = group.head.epoch;
    const said = await bench.must([
      'key',
      'create',
      'cb',
      '--use',
      'sign',
      '--primes-file',
      bench.path('primes2'),
    ]);
    expect(said).toBe(`epoch ${epoch + 2}: key cb, 2048 bits, shared 2 of 4\n`);
  });

  it('deals nothing to one-time keys that no member signed', async () => {
    const { dealingsTaken } = group;
    group.forgesAttends = true;
    const create = ['key', 'create', 'cc', '--use', 'sign', '--timeout', '1s', '--primes-file'];
    const { code, stderr } = await bench.run([...create, bench.path('primes2')]);
    group.forgesAttends = false;
    expect(code).toBe(4);
    expect(stderr).toContain('0 of 4 attend, 3 needed');
    expect(group.dealingsTaken).toBe(dealingsTaken);
  });

  it('refuses a taken name and a wrong size', async () => {
    const taken = await bench.run([
      'key',
      'create',
      'ca',
      '--use',
      'sign',
      '--primes-file',
      bench.path('primes'),
    ]);
    expect(taken.code).toBe(3);
    expect(taken.stderr).toContain('a key named ca exists already');
    const size = await bench.run(['key', 'create', 'cx', '--use', 'sign', '--bits', '1000']);
    expect(size.code).toBe(2);
  });

  it.each([
    ['pkcs1', []],
    ['pss', ['-sigopt', 'rsa_padding_mode:pss']],
  ])('signs with %s, and OpenSSL and holdfast verify accept', async (scheme, openssl) => {
    const file = bench.path('message');
    const signed = await bench.run(['sign', '--key', 'ca', '--scheme', scheme, file]);
    expect(signed.code).toBe(0);
    writeFileSync(bench.path('sig'), signed.stdout);
    writeFileSync(bench.path('pem'), await bench.must(['key', 'public', 'ca']));
    const args = [
      'dgst',
      '-sha256',
      '-verify',
      bench.path('pem'),
      '-signature',
      bench.path('sig'),
      ...openssl,
      file,
    ];
    expect(execFileSync('openssl', args, { encoding: 'utf8' })).toBe('Verified OK\n');
    const verify = ['verify', '--key', 'ca', '--scheme', scheme, '--signature', bench.path('sig')];
    expect(await bench.must([...verify, file])).toBe('valid\n');
    const false_ = await bench.run(verify, { input: 'another message\n' });
    expect(false_.code).toBe(3);
  });

  it('names who is missing with exit code 4 when too few peers answer', async () => {
    for (const name of ['b', 'c', 'd']) group.silent.add(name);
    const { code, stdout, stderr } = await bench.run(['sign', '--key', 'ca'], { input: 'x' });
    group.silent.clear();
    expect(code).toBe(4);
    expect(stdout).toHaveLength(0);
    expect(stderr).toContain(
      'b (not connected), c (not connected), d (not connected); start them and sign again',
    );
  });

  it('lists a client, whose rights are then enforced', async () => {
    await bench.must(['client', 'add', 'ci', '--key', 'ca', '--may', 'sign', '--rate', '100/min']);
    expect(await bench.must(['client', 'list'])).toMatch(/ci +sign with ca +100\/min/);
    const client = bench.path('A/clients/ci.key');
    expect((await bench.run(['sign', '--key', 'ca', '--client', client], { input: 'x' })).code).toBe(0);
    await bench.must(['client', 'remove', 'ci']);
    const { code, stderr } = await bench.run(['sign', '--key', 'ca', '--client', client], { input: 'x' });
    expect(code).toBe(3);
    expect(stderr).toContain('no client with this key is listed');
  });

  it('waits for a refresh and shows history as stable JSON', async () => {
    expect(await bench.must(['refresh', '--wait'])).toMatch(/^epoch \d+: all shares are new/);
    const { epochs } = JSON.parse(await bench.must(['epochs', '--json'])) as {
      epochs: Array<{ epoch: number }>;
    };
    const last = group.head.epoch;
    expect(epochs.map(({ epoch }) => epoch)).toEqual(Array.from({ length: last + 1 }, (_, at) => last - at));
    expect((await bench.run(['epochs', '77'])).stderr).toContain('epoch 77 is not known here');
  });

  it('evicts a member', async () => {
    expect(await bench.must(['evict', 'd'])).toContain('d evicted; 2-of-3:');
    expect((await bench.run(['evict', 'd'])).code).toBe(3);
  });

  it('hands in an order that was signed into a file', async () => {
    const file = bench.path('order');
    await bench.must(['threshold', 'raise', '3', '--yes', '--order-file', file]);
    expect(await bench.must(['order', 'sign', file])).toContain(
      'raise-threshold, signed by 1 of 1 operators',
    );
    expect(await bench.must(['order', 'submit', file])).toMatch(/^epoch \d+: raise-threshold carried out/);
    expect((await bench.run(['order', 'submit', file])).stderr).toContain('was used already');
  });

  it('signs nothing for a daemon that shows an older chain than was seen', async () => {
    const newest = group.chain.pop();
    const { code, stderr } = await bench.run(['client', 'list']);
    if (newest !== undefined) group.chain.push(newest);
    expect(code).toBe(3);
    expect(stderr).toContain('do not trust it');
  });

  it('signs nothing for a daemon whose newest value is not certified', async () => {
    group.refresh();
    const link = group.chain.at(-1);
    if (link?.certificate.type !== 'precommits') throw new Error('a refresh is certified by precommits');
    const votes = link.certificate.votes.splice(1);
    const { code, stderr } = await bench.run(['client', 'list']);
    link.certificate.votes.push(...votes);
    expect(code).toBe(3);
    expect(stderr).toContain('1 votes are no quorum');
  });

  it('says that the daemon is not running, with exit code 5', async () => {
    await bench.stopServing();
    const { code, stderr } = await bench.run(['status']);
    expect(code).toBe(5);
    expect(stderr).toBe('holdfast: the daemon is not running; start it with: holdfast start\n');
  });
});
