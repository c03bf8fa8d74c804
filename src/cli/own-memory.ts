/**
 * A command's memory may hold a share, a whole key, an operator's seed or a plaintext. This file keeps them
 * off the disk.
 */
import { writeFileSync } from 'node:fs';
import { swapProblems } from '../node/daemon/home-inspection.ts';
import { warn } from './terminal.ts';

/**
 * Every command calls this before it reads anything. Files that the command writes are its owner's only. Core
 * dumps and the debugger get nothing of its memory.
 */
export function protectMemory(): void {
  process.umask(0o077);
  // Without a listener Node opens its debugger on this signal, and the debugger reads all memory.
  process.on('SIGUSR1', () => {});
  try {
    writeFileSync('/proc/self/coredump_filter', '0'); // core(5): no memory in a core dump
  } catch {
    // This system is not Linux. `holdfast doctor` warns of it.
  }
}

/**
 * Warns of swap that could take a whole key to the disk. A command calls this before it holds one. Only the
 * owner of the machine can turn swap off.
 */
export function warnOfSwap(machine?: Parameters<typeof swapProblems>[0]): void {
  for (const { what, remedy } of swapProblems(machine)) warn(`${what} Before a key is here: ${remedy}`);
}
