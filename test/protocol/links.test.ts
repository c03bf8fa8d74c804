/** The chain of values: whoever knows one true link can check the next, and no field of it can be changed. */
import { describe, expect, test } from 'vitest';
import { foundingLink, foundingValue, signFounding } from '../../src/protocol/machine/create.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import { foundingPlanOf } from '../../src/protocol/records/draft.ts';
import { clusterIdOf } from '../../src/protocol/records/genesis.ts';
import { checkFounding, checkLink, type Link } from '../../src/protocol/records/link.ts';
import { hashOfValue, type Value } from '../../src/protocol/records/value.ts';
import { paperCluster } from '../../src/simulation/world/paper.ts';
import { flipped, nextLink, refusalOf } from './support.ts';

const paper = paperCluster();
const packet = { body: new Uint8Array(), signature: new Uint8Array(64) };
const suspension = { index: 1, first: packet, second: packet };
const parent = paper.founding.value;
const good = nextLink(paper, parent, [1, 2, 3, 4]);
const check = (link: Link, of: Value = parent) =>
  refusalOf(() => checkLink(paper.genesis, paper.clusterId, of, link));
const withVotes = (change: (votes: Array<{ by: number; signature: Uint8Array }>) => typeof votes): Link => {
  const { certificate } = good;
  if (certificate.type !== 'precommits') throw new Error('a link has precommits');
  return { ...good, certificate: { ...certificate, votes: change(certificate.votes) } };
};

describe('a certificate', () => {
  test('of a quorum is accepted, in any order and with more votes than needed', () => {
    expect(check(good)).toBeNull();
    expect(check(nextLink(paper, parent, [5, 3, 2, 1]))).toBeNull();
    expect(check(nextLink(paper, parent, [1, 2, 3, 4, 5]))).toBeNull();
  });
  test('of fewer is refused', () => {
    expect(check(nextLink(paper, parent, [1, 2, 3]))).toBe('bad-certificate');
    expect(check(nextLink(paper, parent, []))).toBe('bad-certificate');
  });
  test('counts no vote twice, and none of strangers', () => {
    expect(check(withVotes((votes) => [...votes.slice(0, 3), votes[0] as (typeof votes)[0]]))).toBe(
      'bad-certificate',
    );
    expect(check(withVotes((votes) => votes.map((vote) => ({ ...vote, by: vote.by + 10 }))))).toBe(
      'bad-certificate',
    );
    expect(check(withVotes((votes) => votes.map((vote) => ({ ...vote, by: 6 - vote.by }))))).toBe(
      'bad-certificate',
    );
  });
  test('is for one round of one epoch of one cluster', () => {
    const { certificate } = good;
    expect(check({ ...good, certificate: { ...certificate, round: 1 } as typeof certificate })).toBe(
      'bad-certificate',
    );
    const other = paperCluster({ genesis: { name: 'other' } });
    expect(refusalOf(() => checkLink(paper.genesis, clusterIdOf(other.genesis), parent, good))).toBe(
      'bad-certificate',
    );
  });
  test('of epoch 0 certifies nothing later', () => {
    expect(check({ ...good, certificate: paper.founding.certificate })).toBe('bad-certificate');
  });
});

test('no field of a certified value can be changed', () => {
  const { value } = good;
  const [first] = value.roster;
  if (first === undefined) throw new Error('the roster is not empty');
  const changes: Partial<Value>[] = [
    { v: 2 as 1 },
    { epoch: 2 },
    { ancestors: value.ancestors.map((hash) => flipped(hash)) },
    { ancestors: [] },
    { ancestors: [...value.ancestors, value.plan] },
    { plan: flipped(value.plan) },
    { accepted: [{ dealer: 1, digest: value.plan }] },
    { roster: value.roster.slice(1) },
    { roster: [{ ...first, epochKey: flipped(first.epochKey) }, ...value.roster.slice(1)] },
    { roster: [{ ...first, keyEpoch: first.keyEpoch + 1 }, ...value.roster.slice(1)] },
    { roster: [{ ...first, peer: 'peer-9999' }, ...value.roster.slice(1)] },
    { roster: [{ ...first, name: 'mallory' }, ...value.roster.slice(1)] },
    { threshold: 2 },
    { clients: [{ name: 'c', publicKey: value.plan, rights: [], ratePerMinute: 0 }] },
    { suspended: [suspension] },
    { lastOrder: 1 },
    { commitments: flipped(value.commitments) },
  ];
  const untouched = Object.keys(value).filter((name) => !changes.some((change) => name in change));
  expect(untouched).toEqual(['keys']);
  for (const change of changes)
    expect(check({ ...good, value: { ...value, ...change } }), JSON.stringify(Object.keys(change))).toMatch(
      /^bad-(?:link|certificate)$/,
    );
  expect(check({ ...good, commitments: [[new Uint8Array([1])]] })).toBe('bad-link');
});

test('a link follows its own parent only', () => {
  const second = nextLink(paper, good.value, [1, 2, 3, 4]);
  expect(check(second, good.value)).toBeNull();
  expect(check(second, parent)).toBe('bad-link');
  const fork = nextLink(paper, parent, [1, 2, 3, 4], { lastOrder: 1 });
  expect(hex(hashOfValue(fork.value))).not.toBe(hex(hashOfValue(good.value)));
  expect(check(second, fork.value)).toBe('bad-link');
});

describe('epoch 0', () => {
  const found = (change: Partial<Value>, signers = paper.operatorSeeds): string | null => {
    const value = { ...parent, ...change };
    const link = foundingLink(
      value,
      signers.map((seed) => signFounding(paper.genesis, seed, value)),
    );
    return refusalOf(() => checkFounding(paper.genesis, link));
  };
  const [first, ...rest] = paper.roster as [(typeof paper.roster)[0], ...typeof paper.roster];

  test('is what the operators sign', () => {
    expect(found({})).toBeNull();
    expect(
      refusalOf(() => checkFounding(paper.genesis, { ...paper.founding, certificate: good.certificate })),
    ).toBe('bad-certificate');
    expect(found({}, [])).toBe('bad-certificate');
  });
  test('needs as many different operators as the genesis says', () => {
    const two = paperCluster({ operators: 3, operatorsNeeded: 2 });
    const value = foundingValue(two.genesis, two.roster, []);
    const signatures = two.operatorSeeds.map((seed) => signFounding(two.genesis, seed, value));
    const sign = (at: number[]) =>
      refusalOf(() =>
        checkFounding(
          two.genesis,
          foundingLink(
            value,
            at.map((i) => signatures[i] as (typeof signatures)[0]),
          ),
        ),
      );
    expect(sign([0, 2])).toBeNull();
    expect(sign([1])).toBe('bad-certificate');
    expect(sign([1, 1])).toBe('bad-certificate');
  });
  test.each<[string, Partial<Value>]>([
    ['another epoch', { epoch: 1 }],
    ['another cluster', { plan: foundingPlanOf(flipped(paper.clusterId)) }],
    ['something before it', { ancestors: [parent.plan] }],
    ['another threshold', { threshold: 2 }],
    ['too few members', { roster: paper.roster.slice(0, 2) }],
    ['indices that do not start at 1', { roster: rest }],
    ['an index twice', { roster: [first, { ...rest[0]!, index: 1 }, ...rest.slice(1)] }],
    ['a name twice', { roster: [first, { ...rest[0]!, name: first.name }, ...rest.slice(1)] }],
    ['a peer twice', { roster: [first, { ...rest[0]!, peer: first.peer }, ...rest.slice(1)] }],
    ['a key younger than itself', { roster: [{ ...first, keyEpoch: 1 }, ...rest] }],
    ['a used order', { lastOrder: 1 }],
    ['a suspension', { suspended: [suspension] }],
    ['an accepted dealing', { accepted: [{ dealer: 1, digest: parent.plan }] }],
    ['other commitments', { commitments: flipped(parent.commitments) }],
  ])('is refused with %s, even when the operators signed it', (_, change) => {
    expect(found(change)).toBe('bad-link');
  });
});

test('a genesis that contradicts itself has no cluster id', () => {
  for (const change of [
    { threshold: 9 },
    { operatorsNeeded: 2 },
    { operators: [...paper.genesis.operators, ...paper.genesis.operators] },
  ])
    expect(refusalOf(() => clusterIdOf({ ...paper.genesis, ...change }))).toBe('bad-genesis');
});
