/**
 * The warning about the crash model. `cluster init` chooses the fault model once; `join` repeats the warning.
 */
import type { Genesis } from '../protocol/records/genesis.ts';
import { warn } from './terminal.ts';

export function warnOfFaultModel({ faultModel }: Genesis): void {
  if (faultModel === 'crash')
    warn(
      'fault model crash: peers may be silent but never lie. ONE lying peer can split this cluster, and one that dies for good while others are away can lose its keys.',
    );
}
