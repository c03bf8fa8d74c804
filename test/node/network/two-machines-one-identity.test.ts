import { afterEach, expect, test } from 'vitest';
import { abilitiesIn } from '../../../src/node/views/ability.ts';
import { waysToRefresh } from '../../../src/node/views/advice.ts';
import { sceneOf } from '../../../src/node/views/possible-orders.ts';
import { twinProblems } from '../../../src/node/views/twin-problems.ts';
import { groupWithKey } from '../../../src/simulation/world/group.ts';
import { Loopback, memberOf } from './loopback.ts';

const loopback = new Loopback();
afterEach(() => loopback.close());

/** Two peers, and a copy of the first beside it; what each is told is in `twins`. */
async function copied({ keyed }: { keyed: boolean }) {
  const onTwins = loopback.changed;
  const original = await loopback.start(0, [], { onTwins });
  const other = await loopback.start(1, [memberOf(original)], { onTwins });
  await original.transport.setMembers([memberOf(other)]);
  await loopback.authenticated([original, other]);
  const copy = await loopback.start(0, [], { onTwins });
  copy.recorder.keyed = keyed;
  await copy.transport.setMembers([memberOf(other)]);
  return { original, other, copy };
}

test.each([
  { what: 'a copy that lacks the newest epoch key', keyed: false },
  { what: 'a copy that has it', keyed: true },
])(
  'two machines with one identity are noticed by whoever meets both, and told by it: $what',
  async ({ keyed }) => {
    const { original, other, copy } = await copied({ keyed });
    await loopback.until(() =>
      [original, copy].every(({ transport }) => transport.twins().toldBy.length === 1),
    );
    expect(original.transport.twins()).toEqual({ met: [], toldBy: [other.transport.peerId] });
    const { met, toldBy } = other.transport.twins();
    expect(toldBy).toEqual([]);
    expect(met).toMatchObject([{ peer: original.transport.peerId }]);
    expect(met[0]?.places.map(({ address }) => address)).toEqual(
      new Array(2).fill(expect.stringContaining('/ip4/127.0.0.1/tcp/')),
    );
  },
);

test('a daemon that starts again is no second machine', async () => {
  const { original, other, copy } = await copied({ keyed: true });
  await loopback.until(() => other.transport.twins().met.length === 1);
  await copy.transport.stop();
  await loopback.until(() => other.transport.twins().met.length === 0);
  await original.transport.stop();
  await original.transport.start(original.recorder, original.recorder);
  await loopback.authenticated([original, other]);
  expect(other.transport.twins().met).toEqual([]);
});

test('status says who, where, and which of the two to end', () => {
  const member = { index: 1, name: 'e', peer: 'peer-e', epochKey: new Uint8Array(32), keyEpoch: 0 };
  const roster = [member, { ...member, index: 2, name: 'b', peer: 'peer-b' }];
  const places = [
    { address: '/ip4/192.0.2.5/tcp/4101', authenticated: true },
    { address: '/ip4/192.0.2.9/tcp/50123', authenticated: false },
  ];
  const seen = twinProblems(roster, { met: [{ peer: 'peer-e', places }], toldBy: [] }, true);
  expect(seen).toMatchObject([
    {
      what: 'Two machines run with the identity of e: /ip4/192.0.2.5/tcp/4101, which has proven its newest key; /ip4/192.0.2.9/tcp/50123.',
      remedy: expect.stringMatching(/^Stop the daemon that connects from \/ip4\/192\.0\.2\.9\/tcp\/50123, /),
    },
  ]);
  const told = (holdsKey: boolean) => twinProblems(roster, { met: [], toldBy: ['peer-b'] }, holdsKey)[0];
  expect(told(false)?.what).toBe(
    'This home runs on two machines: b also meets another daemon with its identity.',
  );
  expect(told(false)?.remedy).toMatch(/^This one lacks the member's newest key: stop this daemon, /);
  expect(told(true)?.remedy).toMatch(/^This one holds the member's newest key: stop the other daemon, /);
});

test('a member that runs on two machines is not said to have lost its store, and nobody is advised to evict it', async () => {
  const group = await groupWithKey({ peers: 4, threshold: 3 });
  const [state, copied] = [group.state(1), group.state(4).peer];
  const { epoch } = state.volatile.saidOfSelf[copied] ?? { epoch: 0 };
  // The copy spoke last.
  const volatile = {
    ...state.volatile,
    saidOfSelf: { ...state.volatile.saidOfSelf, [copied]: { epoch, holds: null, signs: 'no' as const } },
  };
  const after = { ...state, volatile };
  const reachable = new Set([2, 3, 4].map((place) => group.state(place).peer));
  const waysWith = (doubled: ReadonlySet<string>) => {
    const members = abilitiesIn(after, reachable, doubled);
    return { barred: members[3]?.barred, force: waysToRefresh(sceneOf(after, members)).force.length };
  };
  expect(waysWith(new Set())).toEqual({ barred: 'store-went-back', force: 1 });
  expect(waysWith(new Set([copied]))).toEqual({ barred: 'on-two-machines', force: 0 });
  await group.stopAll();
});
