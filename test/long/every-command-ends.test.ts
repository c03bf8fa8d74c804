/** Every command ends by itself after an error, however early it comes and whatever was opened before. */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { cpus } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openHome } from '../../src/node/home/home.ts';
import { Bench } from '../cli/holdfast.ts';

/** Words with which each command would do something. FILE is a file that is there, NEW a path where nothing is. */
const commands: Readonly<Record<string, string>> = {
  'cluster init': '--name ca --threshold 2 --passphrase-work 10 --home NEW PLACE',
  invite: '',
  join: 'INVITATION --home NEW PLACE',
  start: '',
  peers: '',
  admit: 'b --yes 0',
  evict: 'b --operator FILE',
  reinstate: 'b --operator FILE',
  'threshold raise': '3 --operator FILE',
  status: '',
  refresh: '',
  epochs: '',
  doctor: '',
  audit: '--group',
  'key create': 'ca --use sign --bits 2048',
  'key import': 'ca --use sign --pem FILE',
  'key list': '',
  'key public': 'ca',
  'key destroy': 'ca --operator FILE',
  'client add': 'build --key ca --may sign',
  'client remove': 'build',
  'client list': '',
  'client sign-request': '--key ca --client FILE FILE',
  'client open': '--client FILE FILE',
  sign: '--key ca FILE',
  decrypt: '--key ca FILE',
  verify: '--key ca --signature FILE FILE',
  'order sign': 'FILE',
  'order submit': 'FILE',
  'lab up': '--dir FILE --peers 3',
  'lab run': 'no-such-story',
  'lab show': '--dir NEW',
  'lab kill': 'a --dir NEW',
  'lab stop': 'a --dir NEW',
  'lab start': 'a --dir NEW',
  'lab pause': 'a --dir NEW',
  'lab join': 'e --dir NEW',
  'lab cut': 'a --dir NEW',
  'lab heal': 'a --dir NEW',
  'lab down': '--dir NEW',
};

/** Longer than any of them takes on a busy machine; what is killed then has no exit code. */
const timeoutMs = 60_000;

describe('every command ends by itself', () => {
  const bench = new Bench();
  const busy = createServer((connection) => connection.destroy());
  const file = bench.path('some-file');
  let invitation = '';
  let place: readonly string[] = [];

  beforeAll(async () => {
    writeFileSync(file, 'nothing that any command can use\n', { mode: 0o600 });
    invitation = (await bench.init(['--set', 'mdns=false'])).stdout.trim();
    await new Promise<void>((resolve) => busy.listen({ port: 0, host: '127.0.0.1' }, resolve));
    const bound = busy.address();
    const port = typeof bound === 'object' ? bound?.port : 0;
    // One address can be had, the other cannot.
    place = ['--listen', '/ip4/127.0.0.1/tcp/0', '--lobby-listen', `/ip4/127.0.0.1/tcp/${port}`];
  });
  afterAll(async () => {
    busy.close();
    await bench.close();
  });

  const wordsOf = (name: string, given: string): string[] => [
    ...name.split(' '),
    ...given.split(' ').flatMap((word) => {
      if (word === 'PLACE') return place;
      if (word === 'INVITATION') return [invitation];
      if (word === 'FILE') return [file];
      if (word === 'NEW') return [bench.path('nowhere')];
      return word === '' ? [] : [word];
    }),
  ];

  /** Runs all of them, a few at a time; how each ended. Without `start` where it would do what it is there for. */
  async function endings(
    change: (words: string[]) => string[],
    env: Record<string, string>,
    starts: boolean,
  ) {
    const waiting = Object.entries(commands).filter(([name]) => name !== 'start' || !starts);
    const ends: Record<string, { code: number | null; stderr: string }> = {};
    const worker = async (): Promise<void> => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const { code, stderr } = await bench.run(change(wordsOf(...next)), { env, timeoutMs });
        ends[next[0]] = { code, stderr };
      }
    };
    await Promise.all(cpus().slice(0, 4).map(worker));
    return ends;
  }

  const hanging = (ends: Awaited<ReturnType<typeof endings>>) =>
    Object.entries(ends).flatMap(([name, { code }]) => (code === null ? [name] : []));
  const silent = (ends: Awaited<ReturnType<typeof endings>>) =>
    Object.entries(ends).flatMap(([name, { code, stderr }]) =>
      code !== 0 && !stderr.includes('holdfast: ') ? [name] : [],
    );

  test('the table has every command', async () => {
    const namesIn = async (words: readonly string[]): Promise<string[]> => {
      const help = await bench.must([...words, '--help']);
      const [, list = ''] = /\nCommands:\n([\s\S]*?)(?:\n\n|$)/.exec(help) ?? [];
      return [...list.matchAll(/^ {2}([a-z-]+)/gm)]
        .map(([, name = '']) => name)
        .filter((name) => name !== 'help');
    };
    const all: string[] = [];
    for (const name of await namesIn([])) {
      const inner = await namesIn([name]);
      all.push(...(inner.length === 0 ? [name] : inner.map((one) => `${name} ${one}`)));
    }
    expect(Object.keys(commands).sort()).toEqual(all.sort());
  });

  const asTheyAre = (words: string[]): string[] => words;
  test.each([
    {
      what: 'an unknown option',
      change: (words: string[]) => [...words, '--no-such-option'],
      env: {},
      starts: false,
    },
    { what: 'no home', change: asTheyAre, env: { HOLDFAST_HOME: bench.path('nowhere') }, starts: false },
    {
      what: 'no daemon and no passphrase',
      change: asTheyAre,
      env: { CREDENTIALS_DIRECTORY: '' },
      starts: true,
    },
  ])('with $what', async ({ change, env, starts }) => {
    const ends = await endings(change, { ...env }, starts);
    expect(hanging(ends)).toEqual([]);
    expect(silent(ends)).toEqual([]);
  });

  test('with a daemon that hangs up, and with one that says nothing a person can use', async () => {
    const { socketFile } = openHome(bench.path('A'));
    for (const answer of ['', 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nnonsense!']) {
      const daemon = createServer((connection) => {
        connection.on('error', () => {});
        connection.once('data', () => connection.end(answer));
      });
      await new Promise<void>((resolve) => daemon.listen(socketFile, resolve));
      const ends = await endings(asTheyAre, {}, true);
      await new Promise((resolve) => daemon.close(resolve));
      expect(hanging(ends)).toEqual([]);
      expect(silent(ends)).toEqual([]);
    }
  });
});
