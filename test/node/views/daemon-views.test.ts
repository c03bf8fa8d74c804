/** What `status` says is wrong, from the state of real cores in a simulated group. */
import { expect, test } from 'vitest';
import { changeView, epochView, heldRecords } from '../../../src/node/views/daemon-views.ts';
import { goneAfterMs, noticeAfterMs, problemsOf } from '../../../src/node/views/problems.ts';
import { waitingProblem } from '../../../src/node/views/waiting-views.ts';
import { Group } from '../../../src/simulation/world/group.ts';

const codesAt = (group: Group, place: number) => {
  const state = group.state(place);
  return problemsOf(state, null, new Set(Object.keys(state.volatile.authenticated)), {
    nowMs: group.time.now(),
    wallMs: group.time.clock().wallMs(),
  }).map(({ code, what }) => `${code}: ${what}`);
};

const knowsClocks = (group: Group, place: number, count: number): boolean => {
  const { clockAheadMs, recall } = group.state(place).volatile;
  return recall === null && Object.keys(clockAheadMs).length === count;
};

test('a clock that is wrong by minutes is named at its own peer and at the others', async () => {
  const group = new Group({ peers: 4, threshold: 2, clockSkewMs: { 4: -5 * 60_000 } });
  await group.start();
  await group.until(() => [1, 2, 3, 4].every((place) => knowsClocks(group, place, 3)));
  expect(codesAt(group, 4)).toEqual(["own-clock: This peer's clock is 5 min behind all others."]);
  expect(codesAt(group, 1)).toEqual(['peer-clock: The clocks of this peer and p4 differ by 5 min.']);
  await group.stopAll();
});

test('clocks within a minute of each other are no problem', async () => {
  const group = new Group({ peers: 3, threshold: 2, clockSkewMs: { 3: 50_000 } });
  await group.start();
  await group.until(() => [1, 2, 3].every((place) => knowsClocks(group, place, 2)));
  expect(codesAt(group, 1)).toEqual([]);
  await group.stopAll();
});

test('too few reachable peers are named for signing and for refreshing', async () => {
  const group = new Group({ peers: 5, threshold: 3 });
  await group.start();
  await group.createKey();
  await group.stop(4);
  await group.stop(5);
  await group.until(() => Object.keys(group.state(1).volatile.authenticated).length === 2);
  expect(codesAt(group, 1)).toEqual([
    'refresh-will-wait: The next refresh will wait: 4 of 5 members must attend, and 3 can; p4, p5 cannot be reached.',
  ]);
  await group.stop(3);
  await group.until(() => Object.keys(group.state(1).volatile.authenticated).length === 1);
  expect(codesAt(group, 1).join(' ')).toContain(
    'cannot-sign: Nobody can use a key: 3 members that hold their shares are needed, and 2 can be reached (p1, p2); p3, p4, p5 cannot be reached.',
  );
  await group.stopAll();
});

/** A 2-of-3 group whose refresh waits for p3, which is stopped. */
async function waitingForTheThird(): Promise<Group> {
  const group = new Group({ peers: 3, threshold: 2 });
  await group.start();
  await group.createKey();
  await group.stop(3);
  group.node(1).driver?.refresh();
  await group.until(() => Object.keys(group.state(1).durable.attends).length === 2);
  return group;
}

test('what every change passes through is no problem at first, and then says who is missing', async () => {
  const group = await waitingForTheThird();
  const codes = () => {
    const clocks = { nowMs: group.time.now(), wallMs: group.time.clock().wallMs() };
    const change = changeView(group.state(1), clocks);
    const reachable = new Set(Object.keys(group.state(1).volatile.authenticated));
    return problemsOf(group.state(1), change, reachable, clocks).map(({ what }) => what);
  };
  expect(codes()).toEqual([]);
  await group.run(noticeAfterMs);
  expect(codes()).toEqual(['The change to epoch 2 waits: it needs all 3 members to attend; missing: p3.']);
  await group.stopAll();
});

test('a forced eviction of members that are not connected is advised before a change waits, and while it does', async () => {
  const group = await waitingForTheThird();
  const remedyAfter = (ms: number): string => {
    const clocks = { nowMs: group.time.now(), wallMs: group.time.clock().wallMs() };
    const change = changeView(group.state(1), clocks);
    const later = { nowMs: clocks.nowMs + ms, wallMs: clocks.wallMs + ms };
    const reachable = new Set(Object.keys(group.state(1).volatile.authenticated));
    const found = problemsOf(group.state(1), change, reachable, later);
    return found.find(({ code }) => code === 'refresh-waits')?.remedy ?? '';
  };
  const remedy = 'Start p3; it goes on by itself. If p3 is gone for good: holdfast evict p3 --forced.';
  expect(remedyAfter(3000)).toBe(`${remedy} Signing is not affected.`);
  expect(remedyAfter(goneAfterMs)).toBe(`${remedy} Signing is not affected.`);
  const clocks = { nowMs: group.time.now(), wallMs: group.time.clock().wallMs() };
  const reachable = new Set(Object.keys(group.state(1).volatile.authenticated));
  const found = problemsOf(group.state(1), null, reachable, clocks);
  expect(found.find(({ code }) => code === 'refresh-will-wait')?.remedy).toBe(remedy);
  await group.stopAll();
});

test('a restart below a quorum says who has not answered, and what helps', async () => {
  const group = new Group({ peers: 5, threshold: 3 });
  await group.start();
  await group.createKey();
  for (const place of [3, 4, 5]) await group.stop(place);
  await group.stop(1);
  await group.restart(1);
  await group.until(() => Object.keys(group.state(1).volatile.recall?.answered ?? {}).length === 1);
  const clocks = { nowMs: group.time.now(), wallMs: group.time.clock().wallMs() };
  const reachable = new Set(Object.keys(group.state(1).volatile.authenticated));
  const [recalling] = problemsOf(group.state(1), null, reachable, clocks).filter(
    ({ code }) => code === 'recalling',
  );
  expect(recalling?.what).toContain(
    '3 of 4 others must first tell it what it had said before; so far p2, missing: p3, p4, p5.',
  );
  expect(recalling?.remedy).toContain('Start p3, p4, p5');
  await group.stopAll();
});

test('a member that was away for too long is told to ask for its place again, not to wait for its share', async () => {
  const group = new Group({ peers: 4, threshold: 2 });
  await group.start();
  await group.createKey();
  await group.stop(4);
  for (let epochs = 0; epochs < 3; epochs += 1) await group.refresh(1);
  await group.restart(4);
  await group.until(() => group.epochOf(4) === group.epochOf(1));
  await group.until(() => knowsClocks(group, 4, 3));
  const late = group.state(4);
  const clocks = { nowMs: group.time.now() + noticeAfterMs, wallMs: group.time.clock().wallMs() };
  const reachable = new Set(Object.keys(late.volatile.authenticated));
  const said = (absentEpochsMax: number) =>
    problemsOf({ ...late, genesis: { ...late.genesis, absentEpochsMax } }, null, reachable, clocks);
  expect(said(100).map(({ code }) => code)).toContain('no-share');
  const sleeper = said(2).filter(({ code }) => code === 'no-share' || code === 'absent-too-long');
  expect(sleeper.map(({ code, remedy }) => [code, remedy])).toEqual([
    ['absent-too-long', expect.stringContaining('holdfast reinstate p4')],
  ]);
  await group.stopAll();
});

test('who holds the newest epoch, and the proof by which older ones were erased, are shown', async () => {
  const group = new Group({ peers: 4, threshold: 2 });
  const proof = (place: number, epoch: number) => {
    const records = heldRecords(group.state(place), epoch);
    return records && epochView(group.state(place), records, group.time.clock().wallMs()).retireProof;
  };
  await group.start();
  expect([group.status(1).holders, proof(1, 0)]).toEqual([[], null]);
  await group.createKey();
  await group.stop(4);
  const epoch = await group.refresh();
  expect(group.status(1).holders).toEqual(['p1', 'p2', 'p3']);
  expect(proof(1, epoch)).toEqual({ ready: ['p1', 'p2', 'p3'], trials: ['key'] });
  await group.restart(4);
  await group.until(() => [1, 4].every((place) => group.status(place).holders.length === 4));
  expect(group.status(4).holders).toEqual(['p1', 'p2', 'p3', 'p4']);
  expect(proof(4, epoch)).toEqual({ ready: ['p1', 'p2', 'p3'], trials: ['key'] });
  await group.stopAll();
});

test('a newcomer that the lobby refuses is not told to have itself admitted', () => {
  const remedy = (lobby: string): string =>
    waitingProblem({ ...{ founder: false, waiting: 0, threshold: 2 }, lobby }).remedy;
  expect(remedy('waiting')).toBe('Let the operator compare the fingerprint and admit it.');
  expect(remedy('silent')).toContain('holdfast invite');
  expect(remedy('the name c is that of a member which is here; join under another name')).toMatch(
    /^Nobody can admit it like this/,
  );
});
