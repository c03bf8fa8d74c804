/**
 * What is kept beyond the undecided change has an age, and of each member a bound: a liar cannot make a store
 * grow for ever.
 */
import { describe, expect, test } from 'vitest';
import { createCore } from '../../src/protocol/machine/create.ts';
import { durableDelta } from '../../src/protocol/machine/durable-records.ts';
import { type Durable, emptyDurable } from '../../src/protocol/machine/durable-state.ts';
import { applyRetention, dropExpired, retainNewestOfMember } from '../../src/protocol/machine/retention.ts';
import type { CoreState } from '../../src/protocol/machine/state.ts';
import { Work } from '../../src/protocol/machine/work.ts';
import { encode } from '../../src/protocol/records/codec.ts';
import { limits } from '../../src/protocol/records/limits.ts';
import { Group } from '../../src/simulation/world/group.ts';

/** A founded member's core, as if it were at this epoch. */
function coreAt(
  head: number,
  given: Partial<Durable> & { archiveEpochs?: number; oldest?: number } = {},
): CoreState {
  const { archiveEpochs = null, oldest = 0, ...sections } = given;
  const { genesis, founding } = new Group({ peers: 4, threshold: 2 });
  const durable: Durable = {
    ...emptyDurable(),
    links: { 0: founding, [head]: founding },
    ...sections,
  };
  const own = { ...durable.own, head, oldest, retired: head };
  return createCore({
    ...{ genesis, peer: 'peer-0001', timing: {} as CoreState['timing'], gate: 0, archiveEpochs },
    durable: { ...durable, own },
  });
}

const workAt = (...given: Parameters<typeof coreAt>): Work => new Work(coreAt(...given), new Uint8Array(32));
const packet = (bytes: number) => ({ body: new Uint8Array(bytes), signature: new Uint8Array(64) });
const keysOf = (section: Record<string, unknown>): string[] => Object.keys(section);

describe('blames', () => {
  test('sixteen kilobytes of them in every epoch stay within the bound of one member, and the newest stay', () => {
    const work = workAt(0);
    for (let epoch = 1; epoch <= 1_000; epoch += 1) {
      work.own({ head: epoch });
      const proof = [packet(8_000), packet(8_000)] as const;
      work.blame({ epoch, by: 3, kind: 'contradiction', proof });
      if (epoch === 990) work.blame({ epoch, by: 2, kind: 'false-sum' });
      dropExpired(work);
    }
    const { blames } = work.durable;
    expect(encode(blames).length).toBeLessThan(limits.blameBytesPerMemberMax + 1_000);
    expect(keysOf(blames)).toContain('1000/3/contradiction');
    expect(keysOf(blames), 'another member’s is not pushed out').toContain('990/2/false-sum');
  });

  test('what is older than the history goes', () => {
    const work = workAt(50);
    work.blame({ epoch: 50, by: 3, kind: 'false-sum' });
    work.own({ head: 50 + limits.historyEpochsKept - 1 });
    dropExpired(work);
    expect(keysOf(work.durable.blames)).toEqual(['50/3/false-sum']);
    work.own({ head: 50 + limits.historyEpochsKept });
    dropExpired(work);
    expect(keysOf(work.durable.blames)).toEqual([]);
  });
});

test('of one accuser the newest accusations stay, and all that it can make of two changes', () => {
  const work = workAt(10);
  for (const epoch of [8, 9, 10])
    for (let dealer = 1; dealer < limits.membersMax; dealer += 1) {
      work.put('accusations', `${epoch}/${dealer}/64`, { packet: packet(80) });
      retainNewestOfMember(work, 'accusations', 64);
    }
  const kept = keysOf(work.durable.accusations);
  expect(kept).toHaveLength(limits.accusationsPerMemberMax);
  expect(kept.filter((key) => !key.startsWith('8/'))).toHaveLength(2 * (limits.membersMax - 1));
});

test('links and proofs leave the core, but for the newest and those of shares that are held', () => {
  const work = workAt(0);
  const link = work.durable.links[0] as Durable['links'][number];
  for (let epoch = 0; epoch <= 50; epoch += 1) work.put('links', epoch, link);
  work.own({ head: 50, retired: 20 });
  work.put('shares', 20, {});
  work.put('shares', 31, {});
  dropExpired(work);
  expect(keysOf(work.durable.links).map(Number)).toEqual([20, 31, 47, 48, 49, 50]);
});

test('a start drops what was kept beyond the bounds', () => {
  const blames = Object.fromEntries(
    Array.from({ length: 500 }, (_, at) => [
      `${1_000 - at}/3/contradiction`,
      {
        epoch: 1_000 - at,
        by: 3,
        kind: 'contradiction' as const,
        proof: [packet(8_000), packet(8_000)] as const,
      },
    ]),
  );
  const work = workAt(1_000, { blames });
  applyRetention(work);
  expect(keysOf(work.durable.blames).length).toBeLessThan(5);
  expect(keysOf(work.durable.blames)).toContain('1000/3/contradiction');
});

describe('the archive', () => {
  const deletedAt = (state: CoreState, head: number): string[] => {
    const work = new Work(state, new Uint8Array(32));
    work.own({ head });
    dropExpired(work);
    return durableDelta(state.durable, work.durable).deletes.filter((key) => key.startsWith('chain/'));
  };

  test('keeps everything by default', () => {
    expect(deletedAt(coreAt(100_000), 100_001)).toEqual([]);
  });

  test('of whoever keeps fewer epochs loses the oldest, a few with each decision', () => {
    const state = coreAt(10_000, { archiveEpochs: 200 });
    const gone = deletedAt(state, 10_001);
    expect(gone).toHaveLength(3 * limits.archiveEpochsDroppedAtOnce);
    expect(gone.slice(0, 3)).toEqual(['chain/000000000', 'chain/000000000-retire', 'chain/000000000-note']);
    expect(deletedAt(coreAt(10_000, { archiveEpochs: 200, oldest: 9_801 }), 10_001)).toEqual([
      'chain/000009801',
      'chain/000009801-retire',
      'chain/000009801-note',
    ]);
  });

  test('never has fewer epochs than an admission may be old', () => {
    expect(deletedAt(coreAt(10_000, { archiveEpochs: 1, oldest: 9_874 }), 10_001)).toEqual([]);
  });
});
