/**
 * No honest member accuses for certain, blames or reproaches another honest member. Crashes, losses and
 * delays do not change that (statements 4 and 5).
 */

import { isCertain } from '../../protocol/change/accusation.ts';
import type { Output } from '../../protocol/machine/io.ts';
import { readAccusationKey } from '../../protocol/machine/record-keys.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import { operatorDealer } from '../../protocol/records/value.ts';
import type { Peer } from '../world/world.ts';
import type { Facts } from './facts.ts';

/**
 * A certain accusation is true while at most `faults` members are faulty: more than `faults` members never
 * accuse an honest dealer.
 */
export function checkAccusations(facts: Facts, peer: Peer, state: CoreState): void {
  for (const name of Object.keys(state.durable.accusations)) {
    const { epoch, dealer } = readAccusationKey(name);
    const accused = facts.valueAt(epoch - 1)?.roster.find(({ index }) => index === dealer)?.peer;
    const honest = facts.world.peers.some((each) => each.peer === accused && each.faulty === null);
    if (honest && isCertain(state, epoch, dealer))
      facts.fail('4', `${peer.name} holds it for certain that honest member ${dealer} dealt falsely`);
  }
}

/** No honest member is blamed. */
export function checkBlames(facts: Facts, peer: Peer, state: CoreState): void {
  for (const { epoch, by, kind } of Object.values(state.durable.blames)) {
    const { roster } = facts.valueAt(epoch - 1) ?? { roster: [] };
    const blamed = roster.find(({ index }) => index === by)?.peer;
    if (facts.world.peers.some((each) => each.peer === blamed && each.faulty === null))
      facts.fail('4', `${peer.name} blames honest member ${by} for a ${kind} in epoch ${epoch}`);
    if (by === operatorDealer)
      facts.fail('4', `${peer.name} blames the honest dealer of a new key in epoch ${epoch}`);
  }
}

/** A member that is reproached often is cut off. So no honest member reproaches another one. */
export function checkReproach(
  facts: Facts,
  peer: Peer,
  { from, action, why }: Extract<Output, { type: 'refused' }>,
): void {
  const other = facts.world.peers.find((each) => each.peer === from);
  if (action === 'reject' && peer.faulty === null && other?.faulty === null)
    facts.fail('5', `${peer.name} reproached ${other.name}, which is honest: ${why}`);
}
