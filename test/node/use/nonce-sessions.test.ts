/** Nonces between the two rounds: erased in time, copied nowhere, moved to the worker that uses them. */
import { expect, test } from 'vitest';
import { movedWith, type UseJob } from '../../../src/node/jobs/use-jobs.ts';
import { startWorkers } from '../../../src/node/jobs/workers.ts';
import { type NonceSession, NonceSessions } from '../../../src/node/use/nonce-sessions.ts';
import { VirtualTime } from '../../../src/simulation/world/virtual-time.ts';
import { ca, Members, value } from './five-members.ts';

const name = new Uint8Array(16).fill(1);
const sessionOf = (epoch: number): NonceSession => ({
  ...{
    commitment: new Uint8Array(64),
    epoch,
    key: 'aa' as NonceSession['key'],
    use: 'bb' as NonceSession['use'],
  },
});

function kept(epoch = 1) {
  const time = new VirtualTime();
  const sessions = new NonceSessions(time.clock());
  const given = new Uint8Array(64).fill(7);
  const session = sessionOf(epoch);
  sessions.keep('peer', name, session, given);
  return { time, sessions, given, session };
}

test('what was given is erased at once, and the copy is in a buffer of its own', () => {
  const { sessions, given, session } = kept();
  expect(given).toEqual(new Uint8Array(64));
  expect(sessions.take('peer', name)).toBe(session);
  const nonces = sessions.spend(session) as Uint8Array;
  expect(nonces).toEqual(new Uint8Array(64).fill(7));
  expect(nonces.buffer.byteLength).toBe(64);
  expect(sessions.spend(session)).toBeNull();
});

test('a taken pair is erased after ten seconds, at its Retire, at the end, and when its question is over', async () => {
  const ways: ((of: ReturnType<typeof kept>) => unknown)[] = [
    async ({ time }) => {
      time.schedule(10_001, () => {});
      while (await time.next());
    },
    ({ sessions }) => sessions.retire(2),
    ({ sessions }) => sessions.stop(),
    ({ sessions, session }) => sessions.end(session),
  ];
  for (const way of ways) {
    const of = kept();
    of.sessions.take('peer', name);
    await way(of);
    expect(of.sessions.spend(of.session)).toBeNull();
  }
  const untouched = kept(2);
  untouched.sessions.take('peer', name);
  untouched.sessions.retire(2);
  expect(untouched.sessions.spend(untouched.session)).not.toBeNull();
});

test('no timer is left when nothing is kept', async () => {
  const { time, sessions } = kept();
  sessions.take('peer', name);
  let events = 0;
  while (await time.next()) events += 1;
  expect(events).toBeLessThanOrEqual(2);
  const stopped = kept();
  stopped.sessions.stop();
  expect(await stopped.time.next()).toBe(false);
});

test('a real worker is given the nonces themselves: this thread has none left', async () => {
  const nonces = new Uint8Array(64).fill(7);
  const { body } = new Members().signing();
  const setting = { key: ca, threshold: 3, membersMax: 5 };
  const job: UseJob = {
    ...{ kind: 'use-partial', setting, share: new Uint8Array(), index: 1, epoch: value.epoch, body },
    ...{ prove: false, session: { nonces, commitments: [] } },
  };
  expect(movedWith(job)).toEqual([nonces.buffer]);
  const workers = startWorkers({ threads: 1, cipher: 'aes' });
  try {
    await workers.use(job).catch(() => {});
    expect(nonces.buffer.detached).toBe(true);
  } finally {
    await workers.stop();
  }
});
