/**
 * Groups that share a key already. Each shape is made once, so that a run need not begin with the creation of
 * a key.
 */

import { modInverse } from '../../crypto/integers.ts';
import { delta } from '../../keys/rsa/sharing.ts';
import { headOf } from '../../protocol/machine/queries.ts';
import type { Genesis } from '../../protocol/records/genesis.ts';
import { groupWithKey } from './group.ts';
import type { RunOptions } from './run-options.ts';
import { samplePrimes } from './sample-keys.ts';
import type { Records } from './simulation-store.ts';

/** A group at epoch 1. */
export interface Fixture {
  genesis: Genesis;
  operatorSeed: Uint8Array;
  /** The records of every member's store at epoch 1, by index − 1. */
  homes: Array<{ peer: string; records: Records }>;
}

/** `f(0) = Δ·d` of the sample key. The oracle knows it, and no peer ever does. */
export const secretConstant = (membersMax: number, first = 0): bigint => {
  const { p, q } = samplePrimes(512, first);
  return delta(membersMax) * modInverse(65537n, (p - 1n) * (q - 1n));
};

const made = new Map<string, Promise<Fixture>>();

type Shape = Pick<RunOptions, 'peers' | 'threshold' | 'faultModel' | 'absentEpochsMax'>;

/** The group of this shape. It is made once. */
export function fixtureOf({ peers, threshold, faultModel, absentEpochsMax }: Shape): Promise<Fixture> {
  const shape = `${peers}/${threshold}/${faultModel}/${absentEpochsMax}`;
  const known = made.get(shape) ?? make({ peers, threshold, faultModel, absentEpochsMax });
  made.set(shape, known);
  return known;
}

async function make(shape: Shape): Promise<Fixture> {
  const membersMax = Math.min(64, Math.max(5, shape.peers + 1));
  const group = await groupWithKey({ ...shape, membersMax });
  const homes = group.nodes.map(({ peer, home }) => ({ peer, records: new Map(home.records) }));
  const keys = headOf(group.state(1)).keys.length;
  await group.stopAll();
  if (keys !== 1) throw new Error('the creation of the key did not finish');
  return { genesis: group.genesis, operatorSeed: group.operatorSeed, homes };
}
