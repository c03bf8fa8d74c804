/** Signing and addressing recovery messages. */

import { headOf, signingSecret } from '../machine/queries.ts';
import type { RecoveryState } from '../machine/recovery-state.ts';
import type { Work } from '../machine/work.ts';
import { encode } from '../records/codec.ts';
import { type Packet, signPacket } from '../records/packet.ts';
import type { RecoveryMessage } from '../records/recovery-messages.ts';
import { memberAt } from '../records/roster.ts';

/** Signs a message of this member; null while it may not sign. */
export function signRecoveryMessage(work: Work, unsigned: (by: number) => RecoveryMessage): Packet | null {
  const signer = signingSecret(work);
  return signer === null ? null : signPacket(work.clusterId, signer.secret, encode(unsigned(signer.index)));
}

/** @param beside what others signed and the receiver needs with it: a run's grants, a choice's accepts */
export function sendRecovery(work: Work, index: number, packet: Packet, beside: Packet[] = []): void {
  const member = memberAt(headOf(work).roster, index);
  if (member !== undefined && member.peer !== work.peer)
    work.emit({ type: 'send', to: member.peer, frame: { type: 'recovery', packet, beside } });
}

export function updateRecovery(work: Work, change: Partial<RecoveryState>): void {
  work.volatile.recovery = { ...work.volatile.recovery, ...change };
}
