/** The fault model is chosen once, at `cluster init`; whoever makes a peer of such a group is told what it means. */
import type { Genesis } from '../protocol/records/genesis.ts';
import { warn } from './terminal.ts';

export function warnOfFaultModel({ faultModel }: Genesis): void {
  if (faultModel === 'crash')
    warn(
      'fault model crash: peers may be silent but never lie. ONE lying peer can split this cluster, and one that dies for good while others are away can lose its keys.',
    );
}
