/** A change that takes the last member to spare is asked about, and nothing is ordered before somebody said yes. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ServedGroup } from '../support/served-group.ts';
import { Bench } from './holdfast.ts';

const bench = new Bench();
let group: ServedGroup;
let begun = '';

beforeAll(async () => {
  begun = (await bench.init(['--threshold', '3'])).stderr;
  group = await bench.serve(['b', 'c', 'd', 'e']);
});
afterAll(() => bench.close());

const none = 'warning: no member to spare after this: ';
const fingerprints = (...names: string[]) => names.map((name) => group.fingerprint(name));

test('says at init from how many members on there is one to spare', () => {
  expect(begun).toContain('from 5 members on, signing and refreshing can each do without one of them');
});

test('asks at init about a choice that never leaves one', async () => {
  const args = ['--name', 'tight', '--threshold', '3', '--members-max', '4', '--passphrase-work', '10'];
  const { code, stderr } = await bench.run(['cluster', 'init', ...args], {
    env: { HOLDFAST_HOME: bench.path('tight') },
  });
  expect(stderr).toContain(
    `${none}a refresh will need 4 of 4 members, and 4 can attend: with one less it waits`,
  );
  expect([code, stderr]).toEqual([2, expect.stringContaining('give --yes')]);
});

test('founds and says nothing where there is one to spare', async () => {
  const { code, stderr } = await bench.run(['admit', '--yes', ...fingerprints('b', 'c', 'd', 'e')]);
  expect([code, stderr]).toEqual([0, expect.not.stringContaining('spare')]);
});

test('counts who is down, and does not ask about what was so before', async () => {
  await group.joins('f');
  await group.silence('d');
  const { code, stderr } = await bench.run(['admit', 'f', '--yes', ...fingerprints('f')]);
  expect([code, stderr]).toEqual([
    0,
    expect.stringContaining(
      `${none}a refresh will need 5 of 6 members, and 5 can attend: with one less it waits`,
    ),
  ]);
  await group.wake();
});

test('evicts the last member to spare only on a yes that names it', async () => {
  const said = `${none}a refresh will need 4 of 4 members, and 4 can attend: with one less it waits`;
  const { stderr: first } = await bench.run(['evict', 'f']);
  expect(first).not.toContain('spare');
  for (const more of [[], ['--yes', 'd']]) {
    const { code, stderr } = await bench.run(['evict', 'e', ...more]);
    expect([code, stderr]).toEqual([2, expect.stringContaining('give --yes NAME…, naming each again')]);
    expect(stderr).toContain(said);
  }
  expect(group.head.roster).toHaveLength(5);
  const { code, stderr } = await bench.run(['evict', 'e', '--yes', 'e']);
  expect([code, stderr]).toEqual([0, expect.stringContaining(said)]);
  expect(group.head.roster).toHaveLength(4);
});

test('raises the threshold to where nothing is left to spare only on a yes', async () => {
  const raise = ['threshold', 'raise', '4'];
  const asked = await bench.run(raise);
  expect([asked.code, asked.stderr]).toEqual([
    2,
    expect.stringContaining('raise it? It can never be lowered again'),
  ]);
  expect(asked.stderr).toContain(
    `${none}signing will need 4 of 4 members, and 4 can sign: with one less nobody can use a key; a refresh will need 4 of 4`,
  );
  expect(group.head.threshold).toBe(3);
  await bench.must([...raise, '--yes']);
  expect(group.head.threshold).toBe(4);
});
