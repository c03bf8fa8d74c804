/** Whatever the API shows differently is announced, once, also what comes and goes with time alone. */
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { Changes, looksApartMs, type Resource, tickMs } from '../../src/api/changes.ts';
import { EventStreams } from '../../src/api/events.ts';
import type { AuditEntry } from '../../src/node/audit/entry.ts';
import { admissionOf, LobbyAdmissions } from '../../src/node/lobby/lobby-admissions.ts';
import { lobbyRequest } from '../../src/node/lobby/lobby-transport.ts';
import { silentLog } from '../../src/node/log.ts';
import { QuotaEnforcer } from '../../src/node/network/quota-enforcer.ts';
import { cutOffForgottenMs, cutOffMsMin, quotas } from '../../src/node/network/quotas.ts';
import { PeerPenalties } from '../../src/node/use/peer-penalties.ts';
import { statusView } from '../../src/node/views/daemon-views.ts';
import { MachineTroubles } from '../../src/node/views/machine-troubles.ts';
import { misconductProblems } from '../../src/node/views/misconduct.ts';
import { noticeAfterMs } from '../../src/node/views/problems.ts';
import type { Problem } from '../../src/node/views/view.ts';
import { waitingPeerView } from '../../src/node/views/waiting-views.ts';
import { encode } from '../../src/protocol/records/codec.ts';
import { clusterIdOf } from '../../src/protocol/records/genesis.ts';
import { Group } from '../../src/simulation/world/group.ts';
import { VirtualTime } from '../../src/simulation/world/virtual-time.ts';
import { testIdentity } from '../node/network/loopback.ts';
import { asDaemon, type FakeDaemon, fakeDaemon } from './fake-daemon.ts';

const undo: Array<() => unknown> = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** What is announced of a daemon in virtual time. */
function watched(daemon: FakeDaemon, time = new VirtualTime()) {
  const told: Resource[] = [];
  const changes = new Changes(asDaemon(daemon), time.clock());
  undo.push(changes.listen((changed) => told.push(...changed)));
  told.length = 0; // the first look
  const pass = async (ms: number): Promise<Resource[]> => {
    let over = false;
    time.schedule(ms, () => {
      over = true;
    });
    while (!over) await time.next();
    return told.splice(0);
  };
  return { changes, daemon, time, pass };
}

/** A daemon whose status shows these problems. */
const showing = (problems: () => Problem[]): FakeDaemon => {
  const daemon = fakeDaemon();
  const { shown } = daemon;
  return Object.assign(daemon, { status: () => ({ ...shown, problems: problems() }) });
};

test('a hook is followed at once, many of them by few looks, and nothing is told twice', async () => {
  const { daemon, time, pass } = watched(fakeDaemon());
  expect(await pass(5 * tickMs)).toEqual([]);
  daemon.shown = { ...daemon.shown, epoch: 1 };
  daemon.change();
  expect(await pass(1)).toEqual(['status']);
  for (let hook = 0; hook < 100; hook += 1) {
    daemon.shown = { ...daemon.shown, epoch: 100 + hook };
    daemon.change();
    time.schedule(1, () => {});
    await time.next();
  }
  const told = await pass(looksApartMs);
  expect(told.length).toBeGreaterThanOrEqual(2);
  expect(told.length).toBeLessThanOrEqual(2 + 100 / looksApartMs);
});

test('each address is told of by its own name', async () => {
  const daemon = Object.assign(fakeDaemon(), { keys: () => [], epochs: () => [], peers: () => [] });
  const { pass } = watched(daemon);
  const key = { name: 'ca', id: '00', use: 'sign' as const, bits: 2048, modulus: 'ff', exponent: '03' };
  Object.assign(daemon, { keys: () => [key] });
  expect(await pass(tickMs)).toEqual(['keys']);
  Object.assign(daemon, { plans: () => [{ plan: '00', orders: 1, attending: [1] }] });
  expect(await pass(tickMs)).toEqual(['creation']);
});

test('nothing is looked at while nobody listens, and what changed meanwhile counts', async () => {
  const daemon = fakeDaemon();
  const time = new VirtualTime();
  const changes = new Changes(asDaemon(daemon), time.clock());
  changes.listen(() => {})();
  const { count } = changes;
  expect(daemon.listeners.size).toBe(0);
  expect(await time.next()).toBe(false);
  daemon.shown = { ...daemon.shown, epoch: 1 };
  undo.push(changes.listen(() => {}));
  expect(changes.count).toBe(count + 1);
});

test('a reader that has gone already, or comes while the daemon stops, leaves nothing at work', async () => {
  const daemon = fakeDaemon();
  const time = new VirtualTime();
  const events = new EventStreams(1, new Changes(asDaemon(daemon), time.clock()));
  const response = () => new ServerResponse(new IncomingMessage(new Socket()));
  events.add(response().destroy(), '', null);
  expect(daemon.listeners.size).toBe(0);
  const reader = response();
  events.add(reader, '', null);
  expect(daemon.listeners.size).toBe(1);
  events.close();
  events.add(response(), '', null);
  expect(daemon.listeners.size).toBe(0);
  expect(await time.next()).toBe(false);
});

test('how long something lasts so far is no news', async () => {
  const daemon = fakeDaemon();
  const time = new VirtualTime();
  const pause = { kind: 'held' as const, epoch: 1, member: 'c', lasts: true };
  const change = { epoch: 1, phase: 'gathering' as const, round: 0, attending: [], missing: [], needed: 2 };
  const { shown } = daemon;
  daemon.status = () => ({
    ...shown,
    change: { ...change, sinceMs: time.now() },
    pauses: [{ ...pause, ms: time.now() }],
  });
  expect(await watched(daemon, time).pass(10 * tickMs)).toEqual([]);
});

test.each([
  ['lied', 'false-partial', 10 * 60_000],
  ['silent', 'slow-partial', 30_000],
] as const)(
  'a member that %s when a key was used is told of, and that it is forgiven',
  async (fault, code, ms) => {
    const time = new VirtualTime();
    const penalties = new PeerPenalties(time.clock());
    const problems = () => misconductProblems([], [], penalties.list(), time.clock().wallMs(), () => '.');
    const { pass } = watched(showing(problems), time);
    penalties.penalize('liar', fault);
    expect(problems()).toMatchObject([{ code }]);
    expect(await pass(tickMs)).toEqual(['status']);
    expect(await pass(ms - 2 * tickMs)).toEqual([]);
    expect(await pass(2 * tickMs)).toEqual(['status']);
  },
);

test('a cut-off is told of when it begins, when it ends and when it is forgotten', async () => {
  const time = new VirtualTime();
  const enforcer = new QuotaEnforcer({ nowMs: () => time.now(), disconnect: () => {}, log: silentLog });
  const problems = () => misconductProblems([], enforcer.cutOffs(), [], time.clock().wallMs(), () => '.');
  const { pass } = watched(showing(problems), time);
  enforcer.spend('flooder', 'refusals', quotas.refusals.atOnce + 1);
  expect(problems()[0]?.what).toMatch(/It is refused until 2027-01-15T08:00:02Z\.$/);
  expect(await pass(tickMs)).toEqual(['status']);
  expect(await pass(cutOffMsMin)).toEqual(['status']);
  expect(problems()[0]?.what).toMatch(/It may connect again\.$/);
  expect(await pass(cutOffForgottenMs - 2 * tickMs)).toEqual([]);
  expect(await pass(3 * tickMs)).toEqual(['status']);
});

test('a jump of the clock is told of while it is shown, and damage of the audit log', async () => {
  const time = new VirtualTime();
  let aheadMs = 0;
  const clock = { ...time.clock(), wallMs: () => time.clock().wallMs() + aheadMs };
  const troubles = new MachineTroubles({ clock, log: silentLog, onChange: () => {} });
  const noted: AuditEntry[] = [];
  const audit: { damage: string | null; note: (entry: AuditEntry) => void } = {
    damage: null,
    note: (entry) => noted.push(entry),
  };
  troubles.watch(audit);
  undo.push(() => troubles.stop());
  const { pass } = watched(
    showing(() => troubles.problems()),
    time,
  );
  aheadMs = 7_200_000;
  expect(await pass(10 * tickMs)).toEqual(['status']);
  expect(noted).toEqual([{ event: 'clock', stepMs: 7_200_000 }]);
  expect(troubles.problems()).toMatchObject([{ code: 'clock-jumped' }]);
  expect(await pass(10 * 60_000)).toEqual(['status']);
  audit.damage = 'line 7 is not the one that was written';
  expect(await pass(2 * tickMs)).toEqual(['status']);
  expect(troubles.problems()).toMatchObject([{ code: 'audit-damaged' }]);
});

test('a visitor of the lobby that has gone away is told of', async () => {
  const { genesis } = new Group({ peers: 3, threshold: 2 });
  const cluster = clusterIdOf(genesis);
  const time = new VirtualTime();
  const lobby = new LobbyAdmissions({
    ...{ genesis, identity: await testIdentity(0), listen: ['/ip4/127.0.0.1/tcp/0'] },
    ...{ clock: time.clock(), log: silentLog, admitted: () => null, onChange: () => {} },
  });
  undo.push(() => lobby.close());
  const daemon = Object.assign(fakeDaemon(), { peers: () => lobby.waiting().map(waitingPeerView) });
  const { pass } = watched(daemon, time);
  await lobby.open(null);
  const identity = await testIdentity(1);
  const admission = { cluster, name: 'n', identity, epochSeed: new Uint8Array(32).fill(7), addresses: [] };
  await lobbyRequest({
    ...{ identity, addresses: lobby.addresses(), request: encode(admissionOf(admission)) },
    signal: AbortSignal.timeout(20_000),
  });
  expect(await pass(tickMs)).toEqual(['peers']);
  expect(await pass(58 * tickMs)).toEqual([]);
  expect(await pass(3 * tickMs)).toEqual(['peers']);
});

test('what is a problem only once it has lasted, and a clock that goes wrong, are told of', async () => {
  const group = new Group({ peers: 3, threshold: 2 });
  undo.push(() => group.stopAll());
  await group.start();
  await group.createKey();
  await group.stop(3);
  group.node(1).driver?.refresh();
  await group.until(() => Object.keys(group.state(1).durable.attends).length === 2);
  // From here on the group stands still, and only time passes.
  let state = group.state(1);
  const time = new VirtualTime();
  const begunMs = group.time.now();
  const daemon = fakeDaemon();
  daemon.status = () =>
    statusView(state, {
      ...{ name: 'p1', cipher: 'aes', fingerprint: null },
      reachable: new Set(Object.keys(state.volatile.authenticated)),
      nowMs: begunMs + time.now(),
      wallMs: group.time.clock().wallMs() + time.now(),
    });
  const { pass } = watched(daemon, time);
  const codes = () => daemon.status().problems.map(({ code }) => code);
  expect(codes()).toEqual([]);
  expect(await pass(noticeAfterMs + tickMs)).toEqual(['status']);
  expect(codes()).toEqual(['refresh-waits']);
  const clockAheadMs = { 'peer-0002': 5 * 60_000 };
  state = { ...state, volatile: { ...state.volatile, clockAheadMs } };
  expect(await pass(tickMs)).toEqual(['status']);
  expect(codes()).toContain('peer-clock');
});
