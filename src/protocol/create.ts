/** The first durable state of a member: from the operator-signed epoch 0, or from a later value that it was admitted in. */

import { hashOf } from '../crypto/hash.ts';
import { encode, hex } from './codec.ts';
import { clusterIdOf, type Genesis } from './genesis.ts';
import { checkFounding, type Link } from './link.ts';
import { type OperatorSignature, operatorSign } from './order.ts';
import type { Member } from './roster.ts';
import { type CoreState, type Durable, emptyDurable, emptyVolatile, type Timing } from './state.ts';
import { type Client, digestOfCommitments, hashOfValue, type Value } from './value.ts';

/** Epoch 0: the roster that the operator signs once at least `k` peers wait (§4 "Beginning"). */
export function foundingValue(
  genesis: Genesis,
  roster: readonly Member[],
  clients: readonly Client[],
): Value {
  return {
    epoch: 0,
    parent: clusterIdOf(genesis),
    plan: hashOf('holdfast/plan/1', encode(['founding'])),
    accepted: [],
    roster: [...roster],
    threshold: genesis.threshold,
    keys: [],
    clients: [...clients],
    suspended: [],
    lastOrder: 0,
    commitments: digestOfCommitments([]),
  };
}

export function foundingLink(value: Value, operators: OperatorSignature[]): Link {
  return { value, certificate: { type: 'founding', operators }, commitments: [] };
}

export const signFounding = (genesis: Genesis, operatorSeed: Uint8Array, value: Value): OperatorSignature =>
  operatorSign(genesis, operatorSeed, hashOfValue(value));

/** Durable state of a founding member. Throws `bad-link` or `bad-certificate`. */
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
    notes: { 0: { decidedAtMs: wallMs, contradicted: [] } },
    shares: { 0: {} },
    epochSecrets: { [hex(epochKey.publicKey)]: epochKey.seed },
  };
}

/** A core from durable state: at the first start as after every restart. */
export function createCore(options: {
  genesis: Genesis;
  peer: string;
  timing: Timing;
  gate: number;
  durable: Durable;
}): CoreState {
  return { ...options, clusterId: clusterIdOf(options.genesis), volatile: emptyVolatile() };
}
