/** What an operator reads before it signs: all that an order binds, in words. */

import { describe, expect, test } from 'vitest';
import { factsOf, orderInWords } from '../../src/cli/order-words.ts';
import { createKeyFromPrimes } from '../../src/keys/rsa/creation.ts';
import { elementBytes, encodePublic } from '../../src/keys/rsa/numbers.ts';
import { fingerprintOf } from '../../src/protocol/records/admission.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import { type Action, hashOfOrder, operatorSign } from '../../src/protocol/records/order.ts';
import { orderOn, paperCluster } from '../../src/simulation/world/paper.ts';
import { samplePrimes } from '../../src/simulation/world/sample-keys.ts';
import { seededBytes } from '../../src/simulation/world/virtual-time.ts';
import { flipped } from '../protocol/support.ts';

const paper = paperCluster({ operators: 3, operatorsNeeded: 2 });
const of = { genesis: paper.genesis, cluster: paper.clusterId };
const head = paper.founding.value;
const key32 = seededBytes('key')(32);
const newcomer = { peer: '12D3KooWnew', epochKey: key32 };
const fingerprint = fingerprintOf({ cluster: paper.clusterId, ...newcomer });
const created = createKeyFromPrimes({
  ...samplePrimes(512),
  e: 65537n,
  parameters: { membersMax: 8, threshold: 3, modulusBits: 512 },
  randomBytes: seededBytes('creation'),
});

describe('an order in words', () => {
  test.each<[string, Action, string]>([
    [
      'an admission',
      { type: 'admit', name: 'd', ...newcomer },
      `admit d as a member: fingerprint ${fingerprint}, peer 12D3KooWnew`,
    ],
    [
      'a reinstatement',
      { type: 'reinstate', index: 2, ...newcomer },
      `give p2 (member 2) its place again, with a new home: fingerprint ${fingerprint}, peer 12D3KooWnew`,
    ],
    ['an eviction', { type: 'evict', index: 5 }, 'evict p5 (member 5)'],
    [
      'a forced eviction',
      { type: 'force-evict', remaining: [1, 2, 4] },
      'evict by force p3 (member 3), p5 (member 5); p1 (member 1), p2 (member 2), p4 (member 4) decide alone: should those evicted still run somewhere with enough others, they are a second group with the same key',
    ],
    [
      'a raised threshold',
      { type: 'raise-threshold', threshold: 4 },
      'raise the threshold to 4, for ever: 4-of-5: signing survives 1 dead peer; a refresh needs all 5',
    ],
    [
      'a new client',
      {
        type: 'add-client',
        client: {
          name: 'ci',
          publicKey: key32,
          rights: [
            { key: 'ca', operations: ['sign'], schemes: ['pss'] },
            { key: '*', operations: ['decrypt', 'sign'] },
          ],
          ratePerMinute: 100,
        },
      },
      `list client ci: sign with ca by pss, decrypt+sign with *; 100 requests a minute at each peer; public key ${hex(key32)}`,
    ],
    ['a removed client', { type: 'remove-client', name: 'ci' }, 'remove client ci'],
    [
      'a new key',
      {
        type: 'create-key',
        name: 'ca',
        use: 'sign',
        kind: 'rsa',
        public: encodePublic(created.public),
        commitments: created.commitments.map(elementBytes),
        dealingKey: key32,
      },
      'create key ca, RSA of 512 bits, to sign with; 3 peers must work together to use it',
    ],
    [
      'a destroyed key',
      { type: 'destroy-key', name: 'ca' },
      'destroy key ca for ever: every share of it is erased',
    ],
  ])('%s', (_, action, words) => {
    const facts = factsOf(orderOn(paper, head, action), of, head);
    expect(orderInWords(facts)).toEqual([
      words,
      `order 1 of cluster paper (${hex(paper.clusterId).slice(0, 16)}…), made in epoch 0; the newest known here is 0`,
      'signed by operator 1: 1 of 2 needed (there are 3)',
    ]);
  });

  test('names members by number where their names are not known', () => {
    const facts = factsOf(orderOn(paper, head, { type: 'force-evict', remaining: [1, 2, 4] }), of, null);
    expect(facts.actions[0]?.words).toMatch(
      /^evict by force all other members; member 1 \(its name is not known here\),/,
    );
    expect(orderInWords(facts)[1]).toMatch(/no epoch is known here$/);
  });

  test('counts an operator once, and takes no signature unchecked', () => {
    const order = orderOn(paper, head, { type: 'evict', index: 5 });
    const [first] = order.signatures;
    const third = operatorSign(paper.genesis, paper.operatorSeeds[2] as Uint8Array, hashOfOrder(order));
    if (first === undefined) throw new Error('a signed order has a signature');
    expect(factsOf({ ...order, signatures: [first, first, third] }, of, head).signedBy).toEqual([1, 3]);
    const forged = { operator: 1, signature: flipped(third.signature) };
    expect(() => factsOf({ ...order, signatures: [first, forged] }, of, head)).toThrow(
      'the signature of operator 2 is false',
    );
  });
});
