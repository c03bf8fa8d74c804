/** Finds daemons that another process started, by the lock of their store. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { lockHolder } from '../node/store/lock.ts';

const lookEveryMs = 50;

/** The process id of the daemon that runs on a home; null when none runs. */
export function runningDaemon(home: string): number | null {
  const pid = lockHolder(join(home, 'store'));
  return pid !== null && isDaemonOf(pid, home) ? pid : null;
}

/**
 * Resolves when the process has ended. It is not a child of this process, so the system sends no event for
 * its end. The process is polled.
 */
export async function daemonEnded(pid: number, home: string): Promise<void> {
  while (isDaemonOf(pid, home)) await pause(lookEveryMs);
}

/** Whether a signal such as SIGSTOP has stopped a process (proc_pid_stat(5)). */
export function isStopped(pid: number): boolean {
  try {
    return /\) [Tt] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** The command line tells. A dead process whose parent has not waited for it has an empty one. */
function isDaemonOf(pid: number, home: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(home);
  } catch {
    return false;
  }
}
