/**
 * Genesis (protocol §4 "Beginning"): what a cluster is, fixed for ever; its hash is the cluster id, pinned at
 * `join`.
 */

import { z } from 'zod';
import { hashOf } from '../../crypto/hash.ts';
import { encode, hex, shape } from './codec.ts';
import { ProtocolError } from './errors.ts';
import { limits } from './limits.ts';
import { record } from './version.ts';

export const faultModelSchema = z.enum(['byzantine', 'crash']);
export type FaultModel = z.infer<typeof faultModelSchema>;

export const genesisSchema = record('a genesis', 1, {
  name: shape.name,
  operators: z.array(shape.key32).min(1).max(limits.operatorsMax),
  operatorsNeeded: z.number().int().min(1).max(limits.operatorsMax),
  threshold: z.number().int().min(2).max(limits.membersMax),
  membersMax: z.number().int().min(2).max(limits.membersMax),
  faultModel: faultModelSchema,
  absentEpochsMax: z.number().int().min(1).max(limits.absentEpochsMax),
  nonce: shape.exactly(16),
});
export type Genesis = z.infer<typeof genesisSchema>;

/** The cluster id: 32 bytes, hash of the genesis. Throws `bad-genesis` when its numbers contradict each other. */
export function clusterIdOf(genesis: Genesis): Uint8Array {
  if (genesis.threshold > genesis.membersMax)
    throw new ProtocolError(
      'bad-genesis',
      `threshold ${genesis.threshold} is over the highest index ${genesis.membersMax}`,
    );
  if (genesis.operatorsNeeded > genesis.operators.length)
    throw new ProtocolError(
      'bad-genesis',
      `${genesis.operatorsNeeded} of ${genesis.operators.length} operators cannot agree`,
    );
  if (new Set(genesis.operators.map(hex)).size !== genesis.operators.length)
    throw new ProtocolError('bad-genesis', 'an operator key is listed twice');
  return hashOf('holdfast/genesis/1', encode(genesis));
}
