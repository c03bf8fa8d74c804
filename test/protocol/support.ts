/** A small cluster on paper: genesis, founding value and links made by hand, without drivers or networks. */
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { foundingLink, foundingValue, signFounding } from '../../src/protocol/machine/create.ts';
import { clusterIdOf, type Genesis } from '../../src/protocol/records/genesis.ts';
import { type Link, precommitBody } from '../../src/protocol/records/link.ts';
import { type Action, type Order, type OrderBody, signOrder } from '../../src/protocol/records/order.ts';
import { signPacket } from '../../src/protocol/records/packet.ts';
import type { Member } from '../../src/protocol/records/roster.ts';
import {
  ancestorsAfter,
  type Client,
  digestOfCommitments,
  hashOfValue,
  type Value,
} from '../../src/protocol/records/value.ts';
import { seededBytes } from '../../src/simulation/world/virtual-time.ts';

export interface Paper {
  genesis: Genesis;
  clusterId: Uint8Array;
  operatorSeeds: Uint8Array[];
  /** By index − 1. */
  epochSeeds: Uint8Array[];
  roster: Member[];
  founding: Link;
}

export function paperCluster(
  options: {
    peers?: number;
    threshold?: number;
    operators?: number;
    operatorsNeeded?: number;
    clients?: Client[];
    genesis?: Partial<Genesis>;
  } = {},
): Paper {
  const random = seededBytes('paper');
  const operatorSeeds = Array.from({ length: options.operators ?? 1 }, () => random(32));
  const genesis: Genesis = {
    name: 'paper',
    operators: operatorSeeds.map((seed) => ed25519FromSeed(seed).publicKey),
    operatorsNeeded: options.operatorsNeeded ?? 1,
    threshold: options.threshold ?? 3,
    membersMax: 8,
    faultModel: 'byzantine',
    absentEpochsMax: 100,
    nonce: random(16),
    ...options.genesis,
  };
  const epochSeeds = Array.from({ length: options.peers ?? 5 }, () => random(32));
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
    epochSeeds,
    roster: value.roster,
    founding,
  };
}

/** The value after `parent`, of the same members, certified by those with the given indices. */
export function nextLink(
  paper: Paper,
  parent: Value,
  voters: readonly number[],
  change: Partial<Value> = {},
  round = 0,
): Link {
  const value: Value = {
    ...parent,
    epoch: parent.epoch + 1,
    ancestors: ancestorsAfter(parent),
    commitments: digestOfCommitments([]),
    ...change,
  };
  const votes = voters.map((by) => {
    const body = precommitBody(by, value.epoch, round, hashOfValue(value));
    const seed = paper.epochSeeds[by - 1] as Uint8Array;
    return { by, signature: signPacket(paper.clusterId, seed, body).signature };
  });
  return { value, certificate: { type: 'precommits', round, votes }, commitments: [] };
}

/** An order on `head`, the next in sequence, with any field changed before it is signed. */
export function orderOn(
  paper: Paper,
  head: Value,
  actions: Action | readonly Action[],
  change: Partial<OrderBody> = {},
): Order {
  return signOrder(paper.genesis, paper.operatorSeeds[0] as Uint8Array, {
    cluster: paper.clusterId,
    ancestor: hashOfValue(head),
    ancestorEpoch: head.epoch,
    sequence: head.lastOrder + 1,
    actions: [actions].flat(),
    ...change,
  });
}

/** The bytes with one bit changed. */
export const flipped = (bytes: Uint8Array, at = 0): Uint8Array =>
  bytes.map((byte, position) => (position === at ? byte ^ 1 : byte));

/** The code of the ProtocolError (or other coded error) that a function throws; null when it throws none. */
export function refusalOf(run: () => unknown): string | null {
  try {
    run();
    return null;
  } catch (error) {
    return (error as { code?: string }).code ?? `not a coded error: ${(error as Error).message}`;
  }
}
