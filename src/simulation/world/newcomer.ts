/** Peers that wait for admission, and what such a peer begins with, as its lobby hands it out. */
import { ed25519FromSeed } from '../../crypto/signature.ts';
import type { Driver } from '../../node/driver/driver.ts';
import { joinDurable } from '../../protocol/machine/create.ts';
import type { Durable } from '../../protocol/machine/durable-state.ts';

/** A peer that waits for admission, with the seed of its first epoch key. */
export interface Newcomer {
  peer: string;
  seed: Uint8Array;
}

/** What an order that admits the newcomer says of it. */
export const askedBy = ({ peer, seed }: Newcomer): { peer: string; epochKey: Uint8Array } => ({
  peer,
  epochKey: ed25519FromSeed(seed).publicKey,
});

/** Null while the member whose driver this is has no admission of the newcomer to hand out. */
export async function admittedState(
  driver: Driver,
  { peer, seed }: Newcomer,
  wallMs: number,
): Promise<Durable | null> {
  const { order, links } = (await driver.handOut(peer)) ?? { order: null, links: [] };
  if (order === null) return null;
  const epochKey = { seed, publicKey: ed25519FromSeed(seed).publicKey };
  return joinDurable({ genesis: driver.state.genesis, peer, order, links, epochKey, wallMs });
}
