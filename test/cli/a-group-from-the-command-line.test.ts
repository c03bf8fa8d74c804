import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { readOrderFile, writeOrderFile } from '../../src/cli/orders.ts';
import { dealingPublicSchema, dealingSchema } from '../../src/protocol/records/change-messages.ts';
import { decode, hex } from '../../src/protocol/records/codec.ts';
import type { Link } from '../../src/protocol/records/link.ts';
import { type Packet, signPacket } from '../../src/protocol/records/packet.ts';
import type { ServedGroup } from '../support/served-group.ts';
import { runOnTerminal } from '../support/terminal.ts';
import { Bench, passphrase } from './holdfast.ts';

const commitmentsIn = (packets: readonly Packet[]): string[] =>
  packets.flatMap(({ body }) =>
    decode(dealingPublicSchema, decode(dealingSchema, body).public).parts.flatMap(({ commitments }) =>
      commitments.map(hex),
    ),
  );

describe('a group, run from the command line', () => {
  const bench = new Bench();
  let group: ServedGroup;

  beforeAll(async () => {
    await bench.init();
    group = await bench.serve(['b', 'c', 'd']);
    writeFileSync(bench.path('message'), 'a message\n');
  });
  afterAll(() => bench.close());

  /** What `run` gives while the daemon shows other links than the group has. */
  async function withLinks<T>(shown: (links: Link[]) => Link[], run: () => Promise<T>): Promise<T> {
    const honest = group.links.bind(group);
    const lying = vi.spyOn(group, 'links').mockImplementation(async (from) => shown(await honest(from)));
    try {
      return await run();
    } finally {
      lying.mockRestore();
    }
  }

  test('refuses to admit a peer whose fingerprint was not given', async () => {
    const { code, stderr } = await bench.run(['admit', 'b', 'c', '--yes', group.fingerprint('b')]);
    expect(code).toBe(3);
    expect(stderr).toContain(`c has the fingerprint ${group.fingerprint('c')}, which is none of those given`);
    expect(group.status().epoch).toBeNull();
  });

  test('asks nobody where nobody can answer', async () => {
    const asked = await bench.run(['admit', 'b', 'c']);
    expect(asked.code).toBe(2);
    expect(asked.stderr).toContain('give --yes FINGERPRINT…');
  });

  test('founds the cluster with the confirmed peers and says what the numbers mean', async () => {
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
    expect(group.head.clients).toEqual([]);
    expect(readdirSync(bench.path('A/clients'))).toEqual([]);
  });

  test('refuses a wrong passphrase, from wherever it comes; the environment is warned of', async () => {
    const wide = bench.path('wide');
    const wrong = bench.path('wrong');
    writeFileSync(wide, `${passphrase}\n`, { mode: 0o640 });
    writeFileSync(wrong, 'wrong\n', { mode: 0o600 });
    const add = (name: string) => ['client', 'add', name, '--key', '*', '--may', 'sign', '--open'];
    const variable = { CREDENTIALS_DIRECTORY: bench.path('nowhere'), HOLDFAST_PASSPHRASE: 'wrong' };
    const fails = /the passphrase does not open .*operator\.key; try again with the right one\n$/;
    const byFile = await bench.run([...add('x'), '--passphrase-file', wrong]);
    expect(byFile).toMatchObject({ code: 3, stderr: expect.stringMatching(fails) });
    const byVariable = await bench.run(add('y'), { env: variable });
    expect(byVariable).toMatchObject({ code: 3, stderr: expect.stringMatching(fails) });
    expect(byVariable.stderr).toMatch(/^warning: the passphrase is in HOLDFAST_PASSPHRASE/m);
    const byWideFile = await bench.run([...add('z'), '--passphrase-file', wide]);
    expect(byWideFile).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/others .* may read .*chmod 600/),
    });
  });

  test('creates a key while one peer is silent: every other one gets its checked share', async () => {
    await group.silence('d');
    const said = await bench.must([
      'key',
      'create',
      'ca',
      '--use',
      'sign',
      '--primes-file',
      bench.primes(),
      ...['--client', 'web', '--open'],
    ]);
    const client = bench.path('A/clients/web.key');
    expect(said).toBe(
      `epoch 1: key ca, 2048 bits, shared 2 of 4\nclient web may sign with ca: 100 requests a minute at each peer; its key is ${client}\n`,
    );
    expect(group.head.clients).toMatchObject([
      { name: 'web', rights: [{ key: 'ca', operations: ['sign'] }], ratePerMinute: 100 },
    ]);
    await group.wake();
  });

  test('shares anew, and never deals the same numbers again, when a refresh is decided in place of the creation', async () => {
    const { epoch } = group.head;
    const dealt = { inVain: new Set<string>(), inTime: new Set<string>() };
    const honest = group.submitDealings.bind(group);
    const late = vi.spyOn(group, 'submitDealings').mockImplementation(async (packets) => {
      const isLate = group.head.epoch === epoch;
      for (const one of commitmentsIn(packets)) dealt[isLate ? 'inVain' : 'inTime'].add(one);
      if (!isLate) await honest(packets);
    });
    onTestFinished(() => late.mockRestore());
    const said = await bench.must(['key', 'create', 'cb', '--use', 'sign', '--primes-file', bench.primes(2)]);
    expect(said).toBe(`epoch ${epoch + 2}: key cb, 2048 bits, shared 2 of 4\n`);
    expect([dealt.inVain.size, dealt.inTime.size]).toEqual([1, 1]);
    expect(dealt.inTime).not.toEqual(dealt.inVain);
  });

  test('deals nothing to one-time keys that no member signed', async () => {
    const honest = group.creation.bind(group);
    const lying = vi.spyOn(group, 'creation').mockImplementation((order) => {
      const view = honest(order);
      const forged = view.attends.map(({ body }) =>
        signPacket(group.home.cluster, new Uint8Array(randomBytes(32)), body),
      );
      return { ...view, attends: forged };
    });
    const dealing = vi.spyOn(group, 'submitDealings');
    const create = ['key', 'create', 'cc', '--use', 'sign', '--timeout', '5s', '--primes-file'];
    const { code, stderr } = await bench.run([...create, bench.primes(1)]);
    lying.mockRestore();
    expect(code).toBe(4);
    expect(stderr).toContain('0 of 4 attend, 3 needed');
    expect(dealing).not.toHaveBeenCalled();
    dealing.mockRestore();
  });

  test('refuses primes that others may read, and a file that is too large to be primes', async () => {
    const create = (file: string) =>
      bench.run(['key', 'create', 'cp', '--use', 'sign', '--primes-file', file]);
    const wide = bench.path('wide-primes');
    const large = bench.path('large-primes');
    writeFileSync(wide, '{"p": "b", "q": "17"}', { mode: 0o644 });
    writeFileSync(large, new Uint8Array(64 * 1024 + 1), { mode: 0o600 });
    expect(await create(wide)).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/others .* may read .*chmod 600/),
    });
    expect(await create(large)).toMatchObject({ code: 1, stderr: expect.stringContaining('is too large') });
  });

  test('refuses a taken name and a wrong size', async () => {
    const taken = await bench.run([
      ...['key', 'create', 'ca', '--use', 'sign', '--primes-file', bench.primes(1)],
    ]);
    expect(taken.code).toBe(3);
    expect(taken.stderr).toContain('a key named ca exists already');
    const modulus = ['key', 'create', 'cz', '--use', 'sign', '--primes-file', bench.primes()];
    const again = await bench.run(modulus);
    expect([again.code, again.stderr]).toEqual([3, expect.stringMatching(/one key cannot be two\n$/)]);
    const size = await bench.run(['key', 'create', 'cx', '--use', 'sign', '--bits', '1000']);
    expect(size.code).toBe(2);
  });

  test.each([
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

  test('signs what comes late on standard input, and what is typed', async () => {
    const digested = async (signature: Buffer) => {
      writeFileSync(bench.path('late'), signature);
      const verify = ['verify', '--key', 'ca', '--signature', bench.path('late'), bench.path('message')];
      return bench.must(verify);
    };
    const late = await bench.run(['sign', '--key', 'ca'], { input: 'a message\n', inputAfterMs: 2000 });
    expect([late.code, late.stderr]).toEqual([0, expect.stringMatching(/^signed in epoch \d+ by .*\n$/)]);
    expect(await digested(late.stdout)).toBe('valid\n');
    const typed = await runOnTerminal(
      ['sign', '--key', 'ca', '--json'],
      { HOLDFAST_HOME: bench.path('A'), CREDENTIALS_DIRECTORY: bench.credentials },
      [{ after: 'end it with Ctrl-D', keys: 'a message\n\u0004' }],
    );
    expect(typed.code, typed.shown).toBe(0);
    const [, base64 = ''] = /"signature": "(.*)"/.exec(typed.shown) ?? [];
    expect(await digested(Buffer.from(base64, 'base64'))).toBe('valid\n');
  });

  test('refuses raw bytes on a terminal before anything is asked', async () => {
    const env = { HOLDFAST_HOME: bench.path('A'), CREDENTIALS_DIRECTORY: bench.credentials };
    const line = 'holdfast: the result is raw bytes; send it to a file: holdfast … > FILE\n';
    // Neither is the file read, which is not there, nor the key looked for.
    for (const command of ['sign', 'decrypt'])
      expect(await runOnTerminal([command, '--key', 'none', bench.path('none')], env, [])).toEqual({
        code: 2,
        shown: line,
      });
  });

  test('names who is missing with exit code 4 when too few peers answer', async () => {
    await group.silence('b', 'c', 'd');
    const { code, stdout, stderr } = await bench.run(['sign', '--key', 'ca'], { input: 'x' });
    await group.wake();
    expect(code).toBe(4);
    expect(stdout).toHaveLength(0);
    expect(stderr).toContain(
      '1 of the 2 peers needed answered; missing: b (silent), c (silent), d (silent); start them and sign again',
    );
  });

  test('warns when a client is listed for what its key does not do', async () => {
    const add = ['client', 'add', 'cx', '--key', 'ca', '--may', 'decrypt', '--open'];
    const { code, stderr } = await bench.run([...add, '--order-file', bench.path('useless')]);
    expect(code).toBe(0);
    expect(stderr).toMatch(/^warning: key ca is to sign with only: this client will have no use for it\n/);
  });

  test('lists a client, whose rights are then enforced', async () => {
    await bench.must(['client', 'add', 'ci', '--key', 'ca', '--may', 'sign', '--open']);
    expect(await bench.must(['client', 'list'])).toMatch(/ci +sign with ca +100\/min/);
    const client = bench.path('A/clients/ci.key');
    expect((await bench.run(['sign', '--key', 'ca', '--client', client], { input: 'x' })).code).toBe(0);
    await bench.must(['client', 'remove', 'ci']);
    const { code, stderr } = await bench.run(['sign', '--key', 'ca', '--client', client], { input: 'x' });
    expect(code).toBe(3);
    expect(stderr).toContain('no client with this key is listed');
  });

  test('waits for a refresh and shows history as stable JSON', async () => {
    expect(await bench.must(['refresh', '--wait'])).toMatch(/^epoch \d+: all shares are new/);
    const { epochs } = JSON.parse(await bench.must(['epochs', '--json'])) as {
      epochs: Array<{ epoch: number }>;
    };
    const last = group.head.epoch;
    expect(epochs.map(({ epoch }) => epoch)).toEqual(Array.from({ length: last + 1 }, (_, at) => last - at));
    expect(await bench.must(['epochs', String(last)])).toMatch(
      /^retire proof {2}\S+ signed that they are ready; trial signature of \S+ checked$/m,
    );
    expect((await bench.run(['epochs', '77'])).stderr).toContain('this peer knows nothing of epoch 77');
  });

  test('gives a member its place again, with a new home that waits under its name', async () => {
    const nobody = await bench.run(['reinstate', 'c', '--yes', 'x']);
    expect([nobody.code, nobody.stderr]).toEqual([3, expect.stringContaining('nobody named c waits')]);
    const before = group.head.roster.find(({ name }) => name === 'c');
    await group.joins('c');
    const { stdout, stderr } = await bench.run(['peers']);
    expect(stderr).toMatch(/, then: holdfast reinstate c\n$/);
    // Whoever waits is not connected as members are: the column says nothing about it.
    const links = stdout.toString('utf8').matchAll(/^\S+ +(\w) +(member|waiting) +(\S+)/gm);
    expect([...links].map(([, peer, state, link]) => `${peer} ${state} ${link}`)).toEqual([
      ...['a member self', 'b member up', 'c member up', 'd member up'],
      'c waiting -',
    ]);
    expect((await bench.run(['reinstate', 'z', '--yes', 'x'])).stderr).toContain('no member named z');
    const other = await bench.run(['reinstate', 'c', '--yes', '0000-0000-0000-0000-0000']);
    expect([other.code, other.stderr]).toEqual([3, expect.stringContaining('which is none of those given')]);
    // A stranger with a member's name is nobody new.
    const admitted = await bench.run(['admit', 'c', '--yes', group.fingerprint('c')]);
    expect([admitted.code, admitted.stderr]).toEqual([3, expect.stringContaining('holdfast reinstate c')]);
    const { epoch } = group.head;
    expect(await bench.must(['reinstate', 'c', '--yes', group.fingerprint('c')])).toBe(
      `epoch ${epoch + 1}: c has its place again; 2-of-4: signing survives 2 dead peers; a refresh survives 1 silent or lying of 4\n`,
    );
    const after = group.head.roster.find(({ name }) => name === 'c');
    expect(after?.index).toBe(before?.index);
    expect(after?.peer).not.toBe(before?.peer);
  });

  test('evicts by force only members that are gone, and only where enough of the others are up', async () => {
    const { epoch } = group.head;
    const evict = (...names: string[]) => bench.run(['evict', ...names, '--forced', '--yes', ...names]);
    const saysUp = 'holdfast: d is up: evict it without --forced\n';
    expect(await evict('d')).toMatchObject({ code: 3, stderr: saysUp });
    // The daemon that is asked is up as well.
    await group.silence('d');
    const self = 'holdfast: a is the peer that was asked; ask one that remains\n';
    expect(await evict('a', 'd')).toMatchObject({ code: 3, stderr: self });
    await group.silence('b');
    await group.silence('c');
    const few =
      'holdfast: this forced eviction needs 3 of the 3 members that remain, and 1 can attend; b, c cannot be reached; start them, or evict those too that are gone for good\n';
    expect(await evict('d')).toMatchObject({ code: 4, stderr: few });
    await group.wake();
    const file = bench.path('forced');
    await bench.must(['evict', 'd', '--forced', '--yes', 'd', '--order-file', file]);
    expect(await bench.run(['order', 'submit', file])).toMatchObject({ code: 3, stderr: saysUp });
    expect(group.head.epoch).toBe(epoch);
  });

  test('takes no yes for a forced eviction: only the names again', async () => {
    const { epoch } = group.head;
    await group.silence('d');
    const asked = await bench.run(['evict', 'd', '--forced']);
    expect(asked.code).toBe(2);
    expect(asked.stderr).toMatch(
      /^warning: .* alone; should d still run somewhere .*they are a second group with the same key\nfrom the next epoch on: 2-of-3: .*\nwarning: no member to spare after this: a refresh will need 3 of 3 .*\n.*give --yes NAME…/,
    );
    await group.silence('c');
    const other = await bench.run(['evict', 'c', 'd', '--forced', '--yes', 'c']);
    expect([other.code, other.stderr]).toEqual([
      3,
      expect.stringContaining('"c" is not d; nobody was evicted'),
    ]);
    await group.wake();
    expect(group.head.epoch).toBe(epoch);
  });

  test('evicts a member', async () => {
    expect(await bench.must(['evict', 'd', '--yes', 'd'])).toContain('d evicted; 2-of-3:');
    expect(await bench.must(['evict', 'd'])).toContain(`epoch ${group.head.epoch}: d evicted; 2-of-3:`);
    expect((await bench.run(['evict', 'nobody'])).code).toBe(3);
  });

  test('hands in an order that was signed into a file', async () => {
    const file = bench.path('order');
    await bench.must(['threshold', 'raise', '3', '--yes', '--order-file', file]);
    expect(await bench.must(['order', 'sign', file, '--yes'])).toContain(
      'signed by operator 1: 1 of 1 needed',
    );
    expect(await bench.must(['order', 'submit', file])).toMatch(
      /^epoch \d+: carried out: raise the threshold to 3, for ever: 3-of-3/,
    );
    expect(await bench.must(['order', 'submit', file])).toMatch(
      /: carried out: .*; this was done already\n$/,
    );
  });

  test('neither signs nor hands in an order for another cluster', async () => {
    const file = bench.path('foreign');
    const { signatures, body } = await readOrderFile(bench.path('order'));
    writeOrderFile(file, { signatures, body: { ...body, cluster: new Uint8Array(32) } });
    const written = readFileSync(file);
    for (const verb of ['sign', 'submit']) {
      const { code, stderr } = await bench.run(['order', verb, file]);
      expect([code, stderr]).toEqual([3, expect.stringMatching(/^holdfast: .* for another cluster.*\n$/)]);
    }
    expect(readFileSync(file).equals(written)).toBe(true);
  });

  test('signs nothing for a daemon that shows an older chain than was seen', async () => {
    const { code, stderr } = await withLinks(
      (links) => links.filter(({ value }) => value.epoch < group.head.epoch),
      () => bench.run(['client', 'list']),
    );
    expect(code).toBe(3);
    expect(stderr).toContain('do not trust it');
  });

  test('signs nothing for a daemon whose newest value is not certified', async () => {
    await group.refreshed();
    const uncertified = ({ certificate, ...link }: Link): Link =>
      certificate.type === 'precommits'
        ? { ...link, certificate: { ...certificate, votes: certificate.votes.slice(0, 1) } }
        : { ...link, certificate };
    const { code, stderr } = await withLinks(
      (links) => links.map(uncertified),
      () => bench.run(['client', 'list']),
    );
    expect(code).toBe(3);
    expect(stderr).toContain('1 votes are no quorum');
  });

  test('says that the daemon is not running, with exit code 5', async () => {
    await bench.stopServing();
    const { code, stderr } = await bench.run(['status']);
    expect(code).toBe(5);
    expect(stderr).toBe('holdfast: the daemon is not running; start it with: holdfast start\n');
  });
});
