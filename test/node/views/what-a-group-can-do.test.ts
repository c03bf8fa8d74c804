/**
 * What a group can do is told by who holds its share, not by who is connected; and what is advised can be
 * carried out.
 */
import { describe, expect, test } from 'vitest';
import { unreadiness } from '../../../src/api/readiness.ts';
import { headOf } from '../../../src/protocol/machine/queries.ts';
import { groupWithKey } from '../../../src/simulation/world/group.ts';
import { falseClaims } from '../../support/claims.ts';
import { copyOfStore, putBack, type Records, settled, suspend } from '../../support/misfortunes.ts';

test('a copied home until it is suspended, then two stores put back: nobody can sign, and that is said first', async () => {
  const group = await groupWithKey({ peers: 5, threshold: 3 });
  const before = [3, 4].map((place): [number, Records] => [place, copyOfStore(group, place)]);
  await suspend(group, [5]);
  group.node(1).driver?.refresh(); // p5 is dealt nothing from now on
  const epoch = group.epochOf(1) + 1;
  await group.until(() => group.epochOf(1) === epoch && settled(group, [1, 2, 3, 4]));
  for (const [place, store] of before) await putBack(group, place, store);
  await group.run(30_000);

  const status = group.status(1);
  expect(status.connected).toEqual(['p2', 'p5']);
  expect(status.holders).toEqual(['p1', 'p2']);
  expect(status.prospects).toMatchObject({
    sign: { can: 'no', able: 2, needed: 3, spare: -1 },
    recover: { can: 'no' },
    refresh: { can: 'no' },
  });
  const [first, ...others] = status.problems;
  expect(first).toEqual({
    code: 'cannot-sign',
    what: 'Nobody can use a key: 3 members that hold their shares are needed, and 2 can be reached (p1, p2); p3, p4 do not prove their epoch keys: their stores went back, or they are behind; p5 is suspended.',
    remedy: `Starting, refreshing, reinstating or evicting members cannot help: of the 3 shares of epoch ${epoch} that are needed 2 are left (p1, p2), and others can be made only from 3. Only stores that last held one can help, of p3, p4, 1 at least; without them the keys are lost for good.`,
  });
  const advice = others.map(({ remedy }) => remedy).join('\n');
  expect(advice).not.toMatch(/Signing is not affected|Start |holdfast (reinstate|evict)/);
  expect(advice).toContain('It can be neither reinstated nor evicted now');
  expect(unreadiness(status)).toBe(first?.what);
  // What the two themselves know is less, and they do not say more.
  expect(group.status(3).prospects?.sign.can).toBe('unknown');
  expect(unreadiness(group.status(3))).toBe(`this peer holds no share of epoch ${epoch}`);
  await group.stopAll();
});

test('a store that is put back after its Ready: its member says that it holds nothing, until it is helped', async () => {
  const group = await groupWithKey({ peers: 4, threshold: 2 });
  await group.stop(4);
  await group.refresh();
  const before = copyOfStore(group, 4);
  await group.restart(4);
  await group.until(() => group.status(1).holders.length === 4);
  await group.stop(3);
  await putBack(group, 4, before);
  const share = () => group.status(1).roster[3]?.share;
  await group.until(() => share() === 'missing', 10_000, 'its own word');
  await group.until(() => share() === 'held', 30_000, 'its recovery');
  await group.stopAll();
});

test('after a restart it is not known who holds a share until they say so, and then it is', async () => {
  const group = await groupWithKey({ peers: 3, threshold: 2 });
  const epoch = await group.refresh();
  await group.stop(1);
  const { records } = group.node(1).home;
  for (const name of [...records.keys()]) if (/^readys\/|retire/.test(name)) records.delete(name);
  await group.restart(1);
  const first = group.status(1);
  expect(first.roster.map(({ share }) => share)).toEqual(['held', 'unknown', 'unknown']);
  expect(first.prospects?.sign).toMatchObject({ can: 'no', able: 1 });
  await group.until(() => group.status(1).holders.length === 3, 10_000, 'the words of the others');
  expect(headOf(group.state(1)).epoch).toBe(epoch);
  expect(group.status(1).prospects?.sign).toMatchObject({ can: 'yes', able: 3, spare: 1 });
  await group.stopAll();
});

describe('status claims and advises what the group then can do', () => {
  // One of each kind; every combination of up to five members: test/long/what-every-group-can-do.test.ts.
  test.each([
    { threshold: 2, members: 'HHH' },
    { threshold: 2, members: 'HHD' },
    { threshold: 2, members: 'HLD' },
    { threshold: 3, members: 'HHLW' },
    { threshold: 2, members: 'HHHS' },
    { threshold: 2, members: 'HHSW' },
    { threshold: 3, members: 'HHHDS' },
    { threshold: 2, members: 'HHD', faultModel: 'crash' as const },
  ])('$threshold of $members', async (situation) => {
    expect(await falseClaims(situation)).toEqual([]);
  });
});
