/** What people type to play with a group on one machine, as they type it; and the stories that no other test tells. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { connectApi } from '../../src/client/api-client.ts';
import { type CommandResult, runCommand, spawnCommand } from '../../src/lab/command.ts';
import { whatForbidsLan } from '../../src/lab/lan.ts';
import { scenarios } from '../../src/lab/scenarios.ts';
import type { StatusView } from '../../src/node/views/view.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';

interface Shown {
  name: string;
  pid: number | null;
  status: StatusView | null;
}

/**
 * Told elsewhere: `lan/partition.test.ts`, `long/kills.test.ts`, and of a crash at every write
 * `store/crash.test.ts`.
 */
const toldElsewhere = new Set(['partition', 'kills', 'crash-at-every-write']);
const scratch = mkdtempSync(join(tmpdir(), 'holdfast-lab-test-'));
const dir = join(scratch, 'lab');
/** Where stories put their groups. */
const stories = join(scratch, 'stories');
const primes = join(scratch, 'primes');
const forbidden = whatForbidsLan();

const holdfast = (words: readonly string[], env: Record<string, string> = {}): Promise<CommandResult> =>
  runCommand(words, { env: { TMPDIR: stories, ...env }, input: 'signed in a lab\n' });
const lab = (word: string, ...words: string[]) => holdfast(['lab', word, ...words, '--dir', dir]);
/** The document that a command says which must succeed. */
async function said(word: string, ...words: string[]) {
  const { code, stdout, stderr } = await lab(word, ...words, '--json');
  if (code !== 0) throw new Error(`lab ${word} ${words.join(' ')} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout.toString('utf8'));
}
const up = (...words: string[]) => said('up', '--primes-file', primes, '--threshold', '2', ...words);
const shown = async (name: string): Promise<Shown> =>
  ((await said('show')) as { peers: Shown[] }).peers.find((peer) => peer.name === name) as Shown;

const untilStatus = async (name: string, check: (status: StatusView) => boolean): Promise<void> => {
  const api = connectApi(join(dir, name, 'api.sock'));
  const seen = async () => (check(await api.status()) ? true : null);
  await api.until(seen, AbortSignal.timeout(60_000)).finally(() => api.close());
};
const untilConnected = (name: string, others: readonly string[]): Promise<void> =>
  untilStatus(name, ({ connected }) => [...connected].sort().join() === [...others].sort().join());

/** A signature of the key's client, asked for at a peer. */
async function sign(name: string): Promise<string> {
  const words = ['sign', '--key', 'ca', '--client', join(dir, 'a', 'clients', 'ca.key')];
  const { code, stdout, stderr } = await holdfast(words, { HOLDFAST_HOME: join(dir, name) });
  expect(code, stderr).toBe(0);
  return stdout.toString('hex');
}

/** Command lines of processes that have to do with what these tests make. */
const processes = (): string[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      try {
        return [readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ')];
      } catch {
        return []; // it has ended
      }
    })
    .filter((line) => line.includes(scratch));
const nothingIsLeft = (): void => {
  expect(processes()).toEqual([]);
  expect(existsSync(dir)).toBe(false);
  expect(readdirSync(stories)).toEqual([]);
};

beforeAll(() => {
  mkdirSync(stories);
  writeFileSync(primes, JSON.stringify(readyPrimes(2048)), { mode: 0o600 });
});
afterAll(async () => {
  if (existsSync(dir)) await lab('down');
  rmSync(scratch, { recursive: true });
});

describe('a lab on the loopback', { timeout: 120_000 }, () => {
  let signature = '';

  test('comes up: every peer has its share, and any two sign', async () => {
    const { peers } = await up('--peers', '4');
    expect(peers.map(({ name }: Shown) => name)).toEqual(['a', 'b', 'c', 'd']);
    for (const { name } of peers) expect((await shown(name)).status?.shareEpochs).toEqual([1]);
    signature = await sign('b');
  });

  test.each([
    [['up'], 3, /a lab is in .* already; end it with: holdfast lab down --dir /],
    [['kill', 'z'], 2, /the lab has no peer z; it has a, b, c, d$/],
    [['start', 'a'], 3, /a is running already$/],
    [['join', 'b'], 3, /b is taken in this lab; choose another name$/],
    [['join', 'credentials'], 3, /credentials is taken in this lab/],
    [['join', '../e'], 2, /\.\.\/e is no name for a peer of a lab/],
    [['cut', 'a'], 3, /the peers of this lab share the loopback; use pause, or make a lab with --lan$/],
    [['heal', 'a'], 3, /a is not paused, .* only a lab made with --lan has cables$/],
  ] as const)('says in one line why not: %j', async ([word, ...words], exit, line) => {
    const { code, stdout, stderr } = await lab(word, ...words);
    expect([code, stdout.toString('utf8'), stderr.trimEnd().split('\n').length]).toEqual([exit, '', 1]);
    expect(stderr.trimEnd()).toMatch(line);
  });

  test('kills and starts a peer; the others sign meanwhile, and the next refresh has it again', async () => {
    expect(await said('kill', 'b')).toEqual({ peer: 'b', done: 'kill' });
    expect(await shown('b')).toMatchObject({ pid: null, status: null });
    expect((await lab('show')).stdout.toString('utf8')).toMatch(/^b +- +not running$/m);
    expect((await lab('kill', 'b')).code).toBe(5);
    expect(await sign('c')).toBe(signature);
    await said('start', 'b');
    await untilConnected('b', ['a', 'c', 'd']);
    expect(await sign('b')).toBe(signature);
  });

  test('stops a peer cleanly, and starts it', async () => {
    await said('stop', 'c');
    expect(await shown('c')).toMatchObject({ pid: null });
    await said('start', 'c');
    await untilConnected('c', ['a', 'b', 'd']);
  });

  test('pauses a peer, which is silent then, and heals it', async () => {
    await said('pause', 'd');
    expect(await shown('d')).toMatchObject({ pid: expect.any(Number), status: null });
    expect(await sign('a')).toBe(signature);
    await said('heal', 'd');
    expect(await shown('d')).toMatchObject({ status: { state: 'member' } });
  });

  test('admits nobody while too few members are up, and joins a peer when they are', async () => {
    await said('kill', 'a');
    await said('kill', 'b');
    const few = await lab('join', 'e');
    expect([few.code, few.stderr]).toEqual([4, expect.stringContaining('an admission needs 3 of 4 members')]);
    expect(existsSync(join(dir, 'e'))).toBe(false);
    // The operator's commands move on to a member that runs.
    await said('start', 'b');
    const joined = await said('join', 'e');
    expect(joined).toMatchObject({ peer: 'e', index: 5, home: join(dir, 'e') });
    expect(await shown('e')).toMatchObject({ status: { state: 'member', shareEpochs: [joined.epoch] } });
    await said('kill', 'c');
    await said('kill', 'd');
    expect(await sign('e')).toBe(signature);
  });

  test('goes down and leaves nothing', async () => {
    expect(await said('down')).toEqual({ dir, gone: true });
    nothingIsLeft();
    const { code, stderr } = await lab('show');
    expect([code, stderr]).toEqual([1, expect.stringContaining(`there is no lab in ${dir}; make one with`)]);
  });

  test('leaves nothing when it is interrupted while it is made', async () => {
    const words = ['lab', 'up', '--peers', '3', '--threshold', '2', '--dir', dir];
    const child = spawnCommand(words, {}, { stdio: ['ignore', 'ignore', 'pipe'] });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.stderr === null) throw new Error('unreachable: it is piped');
    for await (const line of createInterface({ input: child.stderr }))
      if (line.includes('creating the key')) child.kill('SIGINT');
    expect(await ended).toBe(130);
    // SIGKILL was sent to its daemons, and a process ends a moment after that.
    await vi.waitFor(nothingIsLeft, 5000);
  });
});

describe.skipIf(forbidden !== null)('a lab in network namespaces', { timeout: 120_000 }, () => {
  test('takes one more machine, has its cable cut and healed, and leaves nothing', async () => {
    await up('--peers', '3', '--lan');
    await said('join', 'd');
    await untilConnected('d', ['a', 'b', 'c']);
    await said('cut', 'd');
    await untilConnected('a', ['b', 'c']);
    await said('heal', 'd');
    await untilConnected('a', ['b', 'c', 'd']);
    await said('down');
    nothingIsLeft();
  });
});

describe('the stories that no other test tells', { timeout: 600_000 }, () => {
  const names = scenarios.map(({ name }) => name).filter((name) => !toldElsewhere.has(name));
  test.each(names)('%s', async (name) => {
    const { code, stdout, stderr } = await holdfast([
      ...['lab', 'run', name, '--quiet', '--json', '--primes-file', primes],
    ]);
    expect(code, stderr).toBe(0);
    const { steps } = JSON.parse(stdout.toString('utf8')) as { steps: Array<{ holds: boolean }> };
    expect(steps.map(({ holds }) => holds)).not.toContain(false);
    expect(steps.length).toBeGreaterThan(0);
    nothingIsLeft();
  });
});
