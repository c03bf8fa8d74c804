/** What tests of the rules do with the values of a cluster that is on paper only. */
import { type Link, precommitBody } from '../../src/protocol/records/link.ts';
import { signPacket } from '../../src/protocol/records/packet.ts';
import {
  ancestorsAfter,
  digestOfCommitments,
  hashOfValue,
  type Value,
} from '../../src/protocol/records/value.ts';
import type { Paper } from '../../src/simulation/world/paper.ts';

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
  return { v: 1, value, certificate: { type: 'precommits', round, votes }, commitments: [] };
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
