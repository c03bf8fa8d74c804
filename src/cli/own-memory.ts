/**
 * A command's memory may hold a share, a whole key, an operator's seed or a plaintext: none of it goes to a
 * disk by accident.
 */
import { writeFileSync } from 'node:fs';
import { swapProblems } from '../node/daemon/home-inspection.ts';
import { warn } from './terminal.ts';

/** For every command, before it reads anything: what it writes is its owner's only, and nobody gets at its memory. */
export function protectMemory(): void {
  process.umask(0o077);
  // Node would open its debugger, which reads all memory.
  process.on('SIGUSR1', () => {});
  try {
    writeFileSync('/proc/self/coredump_filter', '0'); // core(5): no memory in a core dump
  } catch {
    // Not Linux: `holdfast doctor` says what it can.
  }
}

/** For a command that is about to hold a whole key: only the machine's owner can keep it from being swapped out. */
export function warnOfSwap(machine?: Parameters<typeof swapProblems>[0]): void {
  for (const { what, remedy } of swapProblems(machine)) warn(`${what} Before a key is here: ${remedy}`);
}
