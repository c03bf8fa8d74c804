/**
 * Statement 4: the key is not lost. It counts the peers whose disks hold enough to compute shares of the
 * newest epoch.
 */
import { recordName } from '../../protocol/machine/durable-records.ts';
import { hex } from '../../protocol/records/codec.ts';
import type { Value } from '../../protocol/records/value.ts';
import type { Peer } from '../world/world.ts';
import type { Facts } from './facts.ts';

/**
 * While at most `faults` peers are faulty, `k` honest peers hold or can compute shares of the newest
 * certified epoch.
 */
export function checkEnoughHolders(facts: Facts, when: string): void {
  const { newest } = facts;
  if (newest === undefined || newest.epoch < 2) return;
  const able = facts.world.peers.filter(
    (peer) =>
      peer.faulty === null &&
      newest.roster.some((member) => member.peer === peer.peer) &&
      canCompute(peer, newest),
  );
  if (able.length < newest.threshold)
    facts.fail(
      '4',
      `${when}, only ${able.length} honest peers could compute shares of epoch ${newest.epoch}`,
    );
}

function canCompute({ home: { records } }: Peer, value: Value): boolean {
  if (records.has(recordName('shares', value.epoch))) return true;
  return (
    records.has(recordName('shares', value.epoch - 1)) &&
    value.accepted.every(({ digest }) => records.has(recordName('subShares', hex(digest))))
  );
}
