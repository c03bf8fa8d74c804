/** A cluster on paper: genesis, founding value and keys. It needs no driver and no network. */
import { ed25519FromSeed } from '../../crypto/signature.ts';
import type { RandomBytes } from '../../keys/kind/shared-key.ts';
import { foundingLink, foundingValue, signFounding } from '../../protocol/machine/create.ts';
import { clusterIdOf, type Genesis } from '../../protocol/records/genesis.ts';
import type { Link } from '../../protocol/records/link.ts';
import { type Action, type Order, type OrderBody, signOrder } from '../../protocol/records/order.ts';
import type { Member } from '../../protocol/records/roster.ts';
import { type Client, hashOfValue, type Value } from '../../protocol/records/value.ts';
import { seededBytes } from './virtual-time.ts';

/** Everything about a cluster before it runs, secrets included. */
export interface Paper {
  genesis: Genesis;
  clusterId: Uint8Array;
  operatorSeeds: Uint8Array[];
  /** The seed of the first operator. */
  operatorSeed: Uint8Array;
  /** The seed of the first epoch key of each member, by index − 1. */
  epochSeeds: Uint8Array[];
  roster: Member[];
  founding: Link;
}

/** Makes a cluster. Left out: five members, three of which use a key together, and one operator. */
export function paperCluster(
  options: {
    peers?: number;
    threshold?: number;
    operators?: number;
    operatorsNeeded?: number;
    clients?: Client[] | undefined;
    genesis?: Partial<Genesis>;
    random?: RandomBytes;
  } = {},
): Paper {
  const { peers = 5, random = seededBytes('paper') } = options;
  const operatorSeeds = Array.from({ length: options.operators ?? 1 }, () => random(32));
  const genesis: Genesis = {
    v: 1,
    name: 'paper',
    operators: operatorSeeds.map((seed) => ed25519FromSeed(seed).publicKey),
    operatorsNeeded: options.operatorsNeeded ?? 1,
    threshold: options.threshold ?? 3,
    membersMax: Math.max(8, peers),
    faultModel: 'byzantine',
    absentEpochsMax: 100,
    nonce: random(16),
    ...options.genesis,
  };
  const epochSeeds = Array.from({ length: peers }, () => random(32));
  const roster = epochSeeds.map((seed, at) => ({
    index: at + 1,
    name: `p${at + 1}`,
    peer: `peer-${String(at + 1).padStart(4, '0')}`,
    epochKey: ed25519FromSeed(seed).publicKey,
  }));
  const value = foundingValue(genesis, roster, options.clients ?? []);
  const signatures = operatorSeeds
    .slice(0, genesis.operatorsNeeded)
    .map((seed) => signFounding(genesis, seed, value));
  const founding = foundingLink(value, signatures);
  return {
    genesis,
    clusterId: clusterIdOf(genesis),
    operatorSeeds,
    operatorSeed: operatorSeeds[0] as Uint8Array,
    epochSeeds,
    roster: value.roster,
    founding,
  };
}

/**
 * An order of the first operator on `head`, with the next number. `change` replaces fields before the
 * operator signs.
 */
export const orderOn = (
  { genesis, operatorSeed }: Pick<Paper, 'genesis' | 'operatorSeed'>,
  head: Value,
  actions: Action | readonly Action[],
  change: Partial<OrderBody> = {},
): Order =>
  signOrder(genesis, operatorSeed, {
    v: 1,
    cluster: clusterIdOf(genesis),
    ancestor: hashOfValue(head),
    ancestorEpoch: head.epoch,
    sequence: head.lastOrder + 1,
    actions: [actions].flat(),
    ...change,
  });
