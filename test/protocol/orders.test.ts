/**
 * What operators may order, and that nothing else passes: replays, strangers' signatures, stale or
 * ill-fitting orders.
 */

import { describe, expect, test } from 'vitest';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { createKeyFromPrimes } from '../../src/keys/rsa/creation.ts';
import { elementBytes, encodePublic } from '../../src/keys/rsa/numbers.ts';
import { decode, encode, hex } from '../../src/protocol/records/codec.ts';
import { draftOf, planOf } from '../../src/protocol/records/draft.ts';
import { keyIdOf } from '../../src/protocol/records/draft-actions.ts';
import { limits } from '../../src/protocol/records/limits.ts';
import {
  type Action,
  checkOrder,
  hashOfOrder,
  type Order,
  operatorSign,
  operatorsAgree,
  orderSchema,
  signOrder,
} from '../../src/protocol/records/order.ts';
import type { Member } from '../../src/protocol/records/roster.ts';
import { hashOfValue, type Value } from '../../src/protocol/records/value.ts';
import { orderOn, type Paper, paperCluster } from '../../src/simulation/world/paper.ts';
import { samplePrimes } from '../../src/simulation/world/sample-keys.ts';
import { seededBytes } from '../../src/simulation/world/virtual-time.ts';
import { flipped, nextLink, refusalOf } from './support.ts';

const paper = paperCluster();
const head = paper.founding.value;
const client = (name: string, seed = name) => ({
  name,
  publicKey: seededBytes(seed)(32),
  rights: [],
  ratePerMinute: 0,
});
const add = (name: string): Action => ({ type: 'add-client', client: client(name) });
const admit = (name: string, peer = `peer-of-${name}`): Action => ({
  type: 'admit',
  name,
  peer,
  epochKey: seededBytes(name)(32),
});

/** The n-th and later actions as orders in sequence on `head`. */
const sequence = (
  actions: readonly Action[],
  of: Paper = paper,
  parent: Value = of.founding.value,
): Order[] =>
  actions.map((action, at) => orderOn(of, parent, action, { sequence: parent.lastOrder + 1 + at }));
const draft = (actions: readonly Action[], of: Paper = paper, parent: Value = of.founding.value) =>
  draftOf(of.genesis, of.clusterId, parent, sequence(actions, of, parent));
const refused = (actions: readonly Action[], of: Paper = paper, parent: Value = of.founding.value) =>
  refusalOf(() => draft(actions, of, parent));

describe('an order by itself', () => {
  const good = orderOn(paper, head, add('c'));
  const check = (order: Order, value: Value = head, of = paper) =>
    refusalOf(() => checkOrder(of.genesis, of.clusterId, value, order));

  test('passes when the operators signed it', () => expect(check(good)).toBeNull());

  test('of another cluster is refused', () => {
    expect(check(orderOn(paper, head, add('c'), { cluster: flipped(paper.clusterId) }))).toBe('bad-order');
  });

  test('signed by a stranger, or changed after it was signed, is refused', () => {
    const stranger = seededBytes('stranger')(32);
    expect(refusalOf(() => signOrder(paper.genesis, stranger, good.body))).toBe('bad-order');
    const [signature] = good.signatures;
    if (signature === undefined) throw new Error('an order has a signature');
    expect(check({ ...good, signatures: [] })).toBe('bad-order');
    expect(check({ ...good, signatures: [{ ...signature, signature: flipped(signature.signature) }] })).toBe(
      'bad-order',
    );
    expect(check({ ...good, signatures: [{ ...signature, operator: 1 }] })).toBe('bad-order');
    for (const change of [
      { sequence: 2 },
      { actions: [add('d')] },
      { ancestor: flipped(good.body.ancestor) },
    ])
      expect(check({ ...good, body: { ...good.body, ...change } })).toBe('bad-order');
  });

  test('is used once', () => {
    const later = nextLink(paper, head, [1, 2, 3, 4], { lastOrder: 1 }).value;
    expect(check(good, later)).toBe('bad-order');
  });

  test('on a value that is not known here yet waits, and one over 100 epochs old is refused', () => {
    expect(check(orderOn(paper, head, add('c'), { ancestorEpoch: 1 }))).toBe('early');
    let value = head;
    while (value.epoch < 100) value = nextLink(paper, value, []).value;
    expect(check(good, value)).toBeNull();
    expect(value.ancestors).toHaveLength(100);
    value = nextLink(paper, value, []).value;
    expect(check(good, value)).toBe('bad-order');
    expect(value.ancestors).toHaveLength(100);
  });

  test('names the value that it was signed on, and no other of that epoch', () => {
    const first = nextLink(paper, head, [1, 2, 3, 4]).value;
    const second = nextLink(paper, first, [1, 2, 3, 4]).value;
    for (const value of [head, first, second]) {
      expect(check(orderOn(paper, value, add('c')), second)).toBeNull();
      const ancestor = flipped(hashOfValue(value));
      expect(check(orderOn(paper, value, add('c'), { ancestor }), second)).toBe('bad-order');
    }
    expect(check(orderOn(paper, first, add('c'), { ancestorEpoch: 0 }), second)).toBe('bad-order');
  });

  test('needs m different operators', () => {
    const two = paperCluster({ operators: 3, operatorsNeeded: 2 });
    const digest = hashOfOrder(orderOn(two, two.founding.value, add('c')));
    const by = (seeds: readonly number[]) =>
      operatorsAgree(
        two.genesis,
        seeds.map((at) => operatorSign(two.genesis, two.operatorSeeds[at] as Uint8Array, digest)),
        digest,
      );
    expect(by([0])).toBe(false);
    expect(by([0, 0])).toBe(false);
    expect(by([0, 1])).toBe(true);
    expect(by([2, 1])).toBe(true);
  });
});

describe('an order with several actions', () => {
  const of = (actions: readonly Action[], parent: Value = head) =>
    draftOf(paper.genesis, paper.clusterId, parent, [orderOn(paper, parent, actions)]);

  test('does them all in one change, each after the one before', () => {
    const made = of([
      add('ci'),
      { type: 'evict', index: 2 },
      add('cd'),
      { type: 'remove-client', name: 'ci' },
    ]);
    expect(made.roster.map(({ name }) => name)).toEqual(['p1', 'p3', 'p4', 'p5']);
    expect(made.clients.map(({ name }) => name)).toEqual(['cd']);
    expect(made.lastOrder).toBe(1);
  });

  test('of which one does not fit is refused as a whole, wherever that one stands', () => {
    const wrong: Action = { type: 'remove-client', name: 'nobody' };
    for (const actions of [
      [wrong, add('a')],
      [add('a'), wrong],
      [add('a'), wrong, add('b')],
    ]) {
      expect(() => of(actions)).toThrow('there is no client named nobody');
      const [first, second] = [
        orderOn(paper, head, add('c')),
        orderOn(paper, head, actions, { sequence: 2 }),
      ];
      expect(refusalOf(() => draftOf(paper.genesis, paper.clusterId, head, [first, second]))).toBe(
        'bad-order',
      );
    }
  });

  test('carries a forced eviction only alone', () => {
    const force: Action = { type: 'force-evict', remaining: [1, 2, 3] };
    expect(of([force]).forced).toEqual([1, 2, 3]);
    for (const actions of [
      [force, add('a')],
      [add('a'), force],
    ])
      expect(() => of(actions)).toThrow('the only action of the only order');
  });

  test('is bounded in number and in bytes', () => {
    const decoded = (actions: readonly Action[]) =>
      refusalOf(() => decode(orderSchema, encode(orderOn(paper, head, actions))));
    const some = (count: number) => Array.from({ length: count }, (_, at) => add(`c${at}`));
    expect(decoded([])).toBe('malformed');
    expect(decoded(some(limits.actionsPerOrderMax))).toBeNull();
    expect(decoded(some(limits.actionsPerOrderMax + 1))).toBe('malformed');
    const key: Action = {
      ...{ type: 'create-key', name: 'big', kind: 'rsa', use: 'sign', public: Uint8Array.of(3) },
      commitments: Array.from({ length: limits.membersMax }, () => new Uint8Array(512).fill(1)),
      dealingKey: new Uint8Array(32),
    };
    expect(decoded([key])).toBeNull();
    expect(decoded([key, key])).toBe('malformed');
  });
});

describe('orders in a plan', () => {
  test('follow each other without gap or repetition', () => {
    const [first, second, third] = sequence([add('a'), add('b'), add('c')]) as [Order, Order, Order];
    const make = (orders: Order[]) => refusalOf(() => draftOf(paper.genesis, paper.clusterId, head, orders));
    expect(make([first, second, third])).toBeNull();
    expect(make([second])).toBe('bad-order');
    expect(make([first, third])).toBe('bad-order');
    expect(make([second, first])).toBe('bad-order');
    expect(make([first, first])).toBe('bad-order');
  });

  test('name the plan together with its parent: every difference gives another plan', () => {
    const plan = (orders: Order[], parent = head) =>
      hex(planOf(parent, draftOf(paper.genesis, paper.clusterId, parent, orders), orders));
    const next = nextLink(paper, head, [1, 2, 3, 4]).value;
    const plans = [plan([]), plan(sequence([add('a')])), plan(sequence([add('b')])), plan([], next)];
    plans.push(plan(sequence([add('a'), { type: 'remove-client', name: 'a' }])));
    expect(new Set(plans).size).toBe(plans.length);
    expect(plan(sequence([add('a')]))).toBe(plans[1]);
  });

  test('admit to the lowest free index, and evict', () => {
    expect(draft([admit('new')]).roster.map(({ index }) => index)).toEqual([1, 2, 3, 4, 5, 6]);
    const without = { ...head, roster: head.roster.filter(({ index }) => index !== 2) };
    expect(draft([admit('new')], paper, without).roster.find(({ index }) => index === 2)?.name).toBe('new');
    expect(refused([admit('p1')])).toBe('bad-order');
    expect(refused([admit('new', 'peer-0001')])).toBe('bad-order');
    expect(refused([{ type: 'evict', index: 6 }])).toBe('bad-order');
    expect(refused([admit('a'), admit('b'), admit('c'), admit('d')])).toBe('bad-order');
  });

  test('that leave fewer than k + 2m members in both rosters are refused: two changes do it', () => {
    const evict = (index: number): Action => ({ type: 'evict', index });
    const swap = (count: number): Action[] =>
      Array.from({ length: count }, (_, at) => [evict(at + 1), admit(`new-${at}`)]).flat();
    // 3 of 5: m = 1, so five members have to stay as long as m stays 1 …
    expect(refused(swap(1))).toBe('bad-order');
    // … while with one member less m is 0, and three are enough.
    expect(refused([evict(1)])).toBeNull();
    expect(refused([evict(1), evict(2)])).toBeNull();
    expect(refused([evict(1), evict(2), evict(3)])).toBe('bad-order');
    // 3 of 7: m = 2; swapping one leaves 6 of 7 needed.
    const seven = paperCluster({ peers: 7 });
    expect(refused(swap(1), seven)).toBe('bad-order');
    // 2 of 7: m = 2, so six have to stay.
    const wide = paperCluster({ peers: 7, threshold: 2 });
    expect(refused(swap(1), wide)).toBeNull();
    expect(refused([evict(1), evict(2), admit('a'), admit('b')], wide)).toBe('bad-order');
  });

  test('raise the threshold only, and only as far as the members carry it', () => {
    const raise = (threshold: number): Action => ({ type: 'raise-threshold', threshold });
    expect(draft([raise(4)]).threshold).toBe(4);
    expect(refused([raise(3)])).toBe('bad-order');
    expect(refused([raise(2)])).toBe('bad-order');
    expect(refused([raise(6)])).toBe('bad-order');
  });

  test('force an eviction only where those who remain could decide it', () => {
    const [a, b, c, d, e] = head.roster as [Member, Member, Member, Member, Member];
    // Of the remaining ones all three must attend, and the third has not for more changes than the genesis allows.
    const present = [a, b, d, e].map((member) => ({ ...member, keyEpoch: 101 }));
    const parent: Value = { ...head, epoch: 101, roster: [...present, c].sort((x, y) => x.index - y.index) };
    const leave = (remaining: number[]): Action[] => [{ type: 'force-evict', remaining }];
    expect(draft(leave([1, 2, 4]), paper, parent).forced).toEqual([1, 2, 4]);
    expect(() => draft(leave([1, 2, 3]), paper, parent)).toThrow('p3 was away too long');
    expect(draft(leave([1, 2, 3]), paper, { ...parent, epoch: 100 }).forced).toEqual([1, 2, 3]);
  });

  test('list clients by unique names and keys', () => {
    expect(draft([add('a'), add('b')]).clients.map(({ name }) => name)).toEqual(['a', 'b']);
    expect(draft([add('a'), { type: 'remove-client', name: 'a' }]).clients).toEqual([]);
    expect(refused([add('a'), add('a')])).toBe('bad-order');
    expect(refused([add('a'), { type: 'add-client', client: client('b', 'a') }])).toBe('bad-order');
    expect(refused([{ type: 'remove-client', name: 'a' }])).toBe('bad-order');
  });

  describe('create keys', () => {
    const parameters = { membersMax: 8, threshold: 3, modulusBits: 512 };
    const made = createKeyFromPrimes({
      ...samplePrimes(512),
      e: 65537n,
      parameters,
      randomBytes: seededBytes('key'),
    });
    const create: Extract<Action, { type: 'create-key' }> = {
      type: 'create-key',
      name: 'key',
      use: 'sign',
      kind: 'rsa',
      public: encodePublic(made.public),
      commitments: made.commitments.map(elementBytes),
      dealingKey: new Uint8Array(32),
    };
    test('with true public values', () => {
      const after = draft([create]);
      expect(after.keys.map(({ name }) => name)).toEqual(['key']);
      expect(after.created).toHaveLength(1);
      expect(draft([create, { type: 'destroy-key', name: 'key' }])).toMatchObject({ keys: [], created: [] });
    });
    test('but not with false ones', () => {
      const key = made.public;
      const public_ = (change: Partial<typeof key>) => ({ public: encodePublic({ ...key, ...change }) });
      const false_ = {
        modulus: public_({ modulus: key.modulus + 1n }),
        'a small exponent': public_({ exponent: 7n }),
        'another exponent': public_({ exponent: 65539n }),
        base: public_({ base: key.base + 1n }),
        'base 1': public_({ base: 1n }),
        constant: public_({ constant: key.constant + 1n }),
        'no numbers': { public: new Uint8Array(3) },
        'more than four numbers': { public: Uint8Array.of(...create.public, 0) },
        'an unknown kind': { kind: 'unknown' },
        'too few commitments': { commitments: create.commitments.slice(1) },
        'too many commitments': { commitments: [...create.commitments, ...create.commitments] },
      };
      for (const [what, change] of Object.entries(false_))
        expect(refused([{ ...create, ...change }]), what).toBe('bad-order');
      expect(() => draft([{ ...create, kind: 'unknown' }])).toThrow(
        'keys of kind unknown are not known to this version of Holdfast, which knows rsa; a newer one may',
      );
      expect(refused([create, create])).toBe('bad-order');
      expect(refused([{ type: 'destroy-key', name: 'key' }])).toBe('bad-order');
    });
    test('and never one key twice, nor one that is destroyed in the same plan', () => {
      const twin = { ...create, name: 'twin', use: 'decrypt' as const };
      expect(refused([create, twin])).toBe('bad-order');
      const parent: Value = { ...head, keys: draft([create]).keys };
      const destroy: Action = { type: 'destroy-key', name: 'key' };
      for (const actions of [[twin], [destroy, twin], [destroy, create]])
        expect(() => draft(actions, paper, parent)).toThrow('key key is this very key');
      expect(draft([destroy], paper, parent).keys).toEqual([]);
    });
    test('and not in a plan that raises the threshold', () => {
      const raise: Action = { type: 'raise-threshold', threshold: 4 };
      expect(refused([create, raise])).toBe('bad-order');
      expect(refused([raise, create])).toBe('bad-order');
    });
    test('under an id that binds cluster, name, kind, use and values', () => {
      const id = (change: Partial<typeof create>, cluster = paper.clusterId) =>
        hex(keyIdOf(cluster, { ...create, ...change }));
      const ids = [
        id({}),
        id({ name: 'other' }),
        id({ use: 'decrypt' }),
        id({ public: encodePublic({ ...made.public, base: 5n }) }),
        id({ kind: 'other' }),
        id({}, flipped(paper.clusterId)),
      ];
      expect(new Set(ids).size).toBe(ids.length);
    });
  });
});

test('an operator key outside the genesis cannot sign', () => {
  const seed = seededBytes('outside')(32);
  expect(paper.genesis.operators.map(hex)).not.toContain(hex(ed25519FromSeed(seed).publicKey));
  expect(refusalOf(() => operatorSign(paper.genesis, seed, paper.clusterId))).toBe('bad-order');
});
