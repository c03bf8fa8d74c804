/**
 * The first durable state of a member. It comes from the operator-signed epoch 0, or from a later value in
 * which the member was admitted.
 */

import { hex, sameBytes } from '../records/codec.ts';
import { foundingPlanOf } from '../records/draft.ts';
import { ProtocolError } from '../records/errors.ts';
import { clusterIdOf, type Genesis } from '../records/genesis.ts';
import { checkCommitments, checkFounding, checkLink, type Link } from '../records/link.ts';
import {
  admittedBy,
  hashOfOrder,
  type OperatorSignature,
  type Order,
  operatorSign,
  operatorsAgree,
} from '../records/order.ts';
import { present } from '../records/present.ts';
import type { Member } from '../records/roster.ts';
import { type Client, digestOfCommitments, hashOfValue, type Value } from '../records/value.ts';
import { type Durable, emptyDurable } from './durable-state.ts';
import type { CoreState, Timing } from './state.ts';
import { emptyVolatile } from './volatile-state.ts';

/** The value of epoch 0. The operators sign its roster once at least `k` peers wait (§4, "Beginning"). */
export function foundingValue(
  genesis: Genesis,
  roster: readonly Omit<Member, 'keyEpoch'>[],
  clients: readonly Client[],
): Value {
  return {
    v: 1,
    epoch: 0,
    ancestors: [],
    plan: foundingPlanOf(clusterIdOf(genesis)),
    accepted: [],
    roster: roster.map((member) => ({ ...member, keyEpoch: 0 })),
    threshold: genesis.threshold,
    keys: [],
    clients: [...clients],
    suspended: [],
    lastOrder: 0,
    commitments: digestOfCommitments([]),
  };
}

/** The link of epoch 0, with the operators' signatures. */
export function foundingLink(value: Value, operators: OperatorSignature[]): Link {
  return { v: 1, value, certificate: { type: 'founding', operators }, commitments: [] };
}

/** One operator's signature under epoch 0. `operatorSeed` is the 32-byte seed of its key. */
export const signFounding = (genesis: Genesis, operatorSeed: Uint8Array, value: Value): OperatorSignature =>
  operatorSign(genesis, operatorSeed, hashOfValue(value));

/** The durable state of a founding member. @throws ProtocolError `bad-link` or `bad-certificate` */
export function foundDurable(
  genesis: Genesis,
  link: Link,
  epochKey: { publicKey: Uint8Array; seed: Uint8Array },
  wallMs: number,
): Durable {
  checkFounding(genesis, link);
  return {
    ...emptyDurable(),
    links: { 0: link },
    notes: { 0: { decidedAtMs: wallMs, value: hashOfValue(link.value), contradicted: [] } },
    shares: { 0: {} },
    epochSecrets: { [hex(epochKey.publicKey)]: epochKey.seed },
  };
}

/**
 * The durable state of a later joiner (§4, "Beginning"). The operators have signed the admission order, and
 * the order names a value. The joiner starts from that value and follows the chain to a value that lists it.
 * The lobby that gave order and links is not trusted.
 * @throws ProtocolError `bad-admission`, and the errors of a false link
 */
export function joinDurable(options: {
  genesis: Genesis;
  peer: string;
  order: Order;
  links: readonly Link[];
  epochKey: { publicKey: Uint8Array; seed: Uint8Array };
  wallMs: number;
}): Durable {
  const { genesis, peer, order, links, epochKey, wallMs } = options;
  const bad = (why: string): never => {
    throw new ProtocolError('bad-admission', why);
  };
  const { body } = order;
  const clusterId = clusterIdOf(genesis);
  if (!sameBytes(body.cluster, clusterId) || !operatorsAgree(genesis, order.signatures, hashOfOrder(order)))
    bad('the admission is not signed by the operators of this cluster');
  const own = admittedBy(order).find((action) => action.peer === peer);
  if (own === undefined || !sameBytes(own.epochKey, epochKey.publicKey))
    bad('the admission is for another peer or key');
  const first = links[0];
  if (first === undefined || !sameBytes(hashOfValue(first.value), body.ancestor))
    return bad('the chain does not begin with the value that the admission names');
  checkCommitments(first);
  for (const [at, link] of links.slice(1).entries())
    checkLink(genesis, clusterId, present(links[at], 'the link before').value, link);
  const newest = present(links.at(-1), 'a link').value;
  if (!newest.roster.some((member) => member.peer === peer))
    bad('the chain does not reach the value that lists this peer');
  const durable = emptyDurable();
  return {
    ...durable,
    links: Object.fromEntries(links.map((link) => [link.value.epoch, link])),
    notes: { [newest.epoch]: { decidedAtMs: wallMs, value: hashOfValue(newest), contradicted: [] } },
    epochSecrets: { [hex(epochKey.publicKey)]: epochKey.seed },
    // The joiner holds nothing older. It attends the next change once it knows that the group has retired
    // everything older.
    own: {
      ...durable.own,
      head: newest.epoch,
      oldest: first.value.epoch,
      retired: Math.max(0, newest.epoch - 1),
    },
  };
}

/** The core of a member, from its durable state. A first start and a restart are the same. */
export function createCore(options: {
  genesis: Genesis;
  peer: string;
  timing: Timing;
  gate: number;
  archiveEpochs?: number | null;
  durable: Durable;
}): CoreState {
  return {
    archiveEpochs: null,
    ...options,
    clusterId: clusterIdOf(options.genesis),
    volatile: emptyVolatile(),
  };
}
