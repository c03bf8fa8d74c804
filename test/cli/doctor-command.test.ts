/** The command `holdfast doctor` at a peer whose daemon does not run, and at one whose daemon does. */
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import type { Problem, StatusView } from '../../src/node/views/view.ts';
import { Bench } from './holdfast.ts';

const bench = new Bench();
afterAll(() => bench.close());

test('scans the home of a stopped peer, and says that it is stopped', async () => {
  await bench.init();
  mkdirSync(bench.path('A/store'), { recursive: true, mode: 0o700 });
  cpSync(bench.path('A/store'), bench.path('A/store.bak'), { recursive: true });
  const { code, stdout } = await bench.run(['doctor', '--json']);
  expect(code).toBe(1);
  const { problems } = JSON.parse(stdout.toString('utf8')) as { problems: Array<{ code: string }> };
  expect(problems.map((problem) => problem.code)).toEqual(
    expect.arrayContaining(['not-running', 'unknown-file']),
  );
});

test('judges core dumps by its own limits then, and not by a process that has the id of a lock left behind', async () => {
  const dumping = spawn('sh', ['-c', 'ulimit -c unlimited; exec sleep 60'], { stdio: 'ignore' });
  try {
    writeFileSync(bench.path('A/store/lock'), JSON.stringify({ pid: dumping.pid }), { mode: 0o600 });
    const { stdout } = await bench.run(['doctor', '--json']);
    expect(stdout.toString('utf8')).not.toContain('core-dumps');
  } finally {
    dumping.kill();
  }
});

test('shares and other secrets of epochs that are over are named, each with what it is, and with what erases them', async () => {
  const group = await bench.serve(['b', 'c']);
  const found = async (wanted: string) => {
    const { stdout } = await bench.run(['doctor', '--json']);
    const { problems } = JSON.parse(stdout.toString('utf8')) as { problems: Problem[] };
    return problems.filter(({ code }) => code === wanted);
  };
  const oldSecrets = () => found('old-secret');
  expect(await oldSecrets()).toEqual([]);
  const leftovers: StatusView['leftovers'] = [
    { kind: 'attended', count: 1 },
    { kind: 'dealt', count: 1 },
    { kind: 'subShares', count: 4 },
    { kind: 'epochSecrets', count: 2 },
  ];
  group.shown = { leftovers };
  const start = 'Of epochs that are over this peer still keeps: ';
  expect((await oldSecrets()).map(({ what }) => what)).toEqual([
    `${start}one-time sealing keys (1 in attended).`,
    `${start}coefficients of own dealings (1 in dealt).`,
    `${start}numbers dealt to this peer (4 in subShares).`,
    `${start}secrets of superseded epoch keys (2 in epochSecrets).`,
  ]);
  const { code, stdout } = await bench.run(['doctor']);
  expect([code, stdout.toString('utf8')]).toEqual([
    1,
    expect.stringContaining('holdfast refresh: the next change erases everything older.'),
  ]);
  group.shown = { epoch: 2, shareEpochs: [1, 2] };
  expect(await found('old-share')).toEqual([
    {
      code: 'old-share',
      what: 'The share of epoch 1 is still kept although no change is under way.',
      remedy: 'holdfast refresh: the next change erases everything older.',
    },
  ]);
  group.shown = { leftovers: leftovers.slice(0, 1), state: 'evicted' };
  expect((await oldSecrets())[0]?.remedy).toBe(
    `Stop the daemon and remove ${bench.path('A')}: this peer was evicted.`,
  );
});
