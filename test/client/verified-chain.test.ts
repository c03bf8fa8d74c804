/** A client believes the chain that a daemon shows only as far as the group certified it, and never an older one. */
import { expect, test } from 'vitest';
import type { ApiClient } from '../../src/client/api-client.ts';
import type { KnownGroup } from '../../src/client/known-group.ts';
import { VerifiedChain } from '../../src/client/verified-chain.ts';
import type { Link } from '../../src/protocol/records/link.ts';
import type { Order } from '../../src/protocol/records/order.ts';
import { hashOfValue } from '../../src/protocol/records/value.ts';
import { orderOn, paperCluster } from '../../src/simulation/world/paper.ts';
import { nextLink } from '../protocol/support.ts';

const paper = paperCluster();
const { founding } = paper;
const everybody = founding.value.roster.map(({ index }) => index);
const second = nextLink(paper, founding.value, everybody);
const third = nextLink(paper, second.value, everybody);
const whole = [founding, second, third];

/** A place for what was seen, in memory. */
function known(seen: Link | null = null, admission: Order | null = null) {
  const kept: Link[] = [];
  const group: KnownGroup = {
    ...{ genesis: paper.genesis, cluster: paper.clusterId },
    seen: () => kept.at(-1) ?? seen,
    keep: (newest) => void kept.push(newest),
    admission: () => (admission === null ? null : { order: admission, source: 'the admission' }),
  };
  return { group, kept };
}

const showing = (links: readonly Link[]): ApiClient =>
  ({ links: async (from: number) => links.filter(({ value }) => value.epoch >= from) }) as ApiClient;

test('it follows the chain from the founding, and keeps the newest value', async () => {
  const { group, kept } = known();
  const chain = new VerifiedChain(group, showing(whole));
  expect(chain.seen).toBeNull();
  expect(await chain.head()).toEqual(third.value);
  expect(kept.map(({ value }) => value.epoch)).toEqual([third.value.epoch]);
  expect(new VerifiedChain(group, showing([])).seen).toEqual(third.value);
});

test('it refuses a daemon that shows an older chain than was seen, and keeps what it has', async () => {
  const { group, kept } = known(third);
  await expect(new VerifiedChain(group, showing([founding, second])).head()).rejects.toMatchObject({
    name: 'ClientError',
    code: 'not-to-be-trusted',
    message: `this daemon does not show epoch ${third.value.epoch}, which was seen before; if it is not just catching up, do not trust it`,
  });
  expect(kept).toEqual([]);
});

test('it refuses a value without the votes of a quorum', async () => {
  const { group, kept } = known();
  const alone = nextLink(paper, second.value, [1]);
  await expect(new VerifiedChain(group, showing([founding, second, alone])).head()).rejects.toMatchObject({
    name: 'ProtocolError',
  });
  expect(kept).toEqual([]);
});

test('it says that a group has no value yet, without the words of a command', async () => {
  await expect(new VerifiedChain(known().group, showing([])).head()).rejects.toMatchObject({
    code: 'not-founded',
    message: 'the cluster is not founded yet',
  });
});

test('at a later joiner it begins with the value that the operators named, and with no other', async () => {
  const admission = orderOn(paper, second.value, { type: 'evict', index: 1 });
  expect(admission.body.ancestor).toEqual(hashOfValue(second.value));
  const late = new VerifiedChain(known(null, admission).group, showing([second, third]));
  expect(await late.head()).toEqual(third.value);
  await expect(
    new VerifiedChain(known(null, admission).group, showing([third])).head(),
  ).rejects.toMatchObject({
    code: 'not-to-be-trusted',
    message: expect.stringContaining('does not begin with the value that the admission names'),
  });
  const unsigned = { ...admission, signatures: [] };
  await expect(new VerifiedChain(known(null, unsigned).group, showing(whole)).head()).rejects.toMatchObject({
    code: 'not-to-be-trusted',
    message: 'the admission is not signed by the operators of this cluster',
  });
});
