/** The records with which an admitted peer begins. Its lobby hands them out. */
import { ed25519FromSeed } from '../../crypto/signature.ts';
import type { Driver } from '../../node/driver/driver.ts';
import { joinDurable } from '../../protocol/machine/create.ts';
import { headOf } from '../../protocol/machine/queries.ts';
import type { Durable } from '../../protocol/machine/state.ts';
import type { Link } from '../../protocol/records/link.ts';

/** A peer that waits for admission, with the seed of its first epoch key. */
export interface Newcomer {
  peer: string;
  seed: Uint8Array;
}

/**
 * The first records of the newcomer, as the member with this driver gives them. Null while that member knows
 * no roster that lists the newcomer.
 */
export async function admittedState(
  { state, archive }: Driver,
  { peer, seed }: Newcomer,
  wallMs: number,
): Promise<Durable | null> {
  const order = state.durable.admissions[peer];
  if (order === undefined || !headOf(state).roster.some((member) => member.peer === peer)) return null;
  const links: Link[] = [];
  const first = order.body.ancestorEpoch;
  for (let more = await archive.linksFrom(first); more.length > 0; ) {
    links.push(...more);
    more = await archive.linksFrom(first + links.length);
  }
  const epochKey = { seed, publicKey: ed25519FromSeed(seed).publicKey };
  return joinDurable({ genesis: state.genesis, peer, order, links, epochKey, wallMs });
}
