/** The memory and descriptors of a daemon's process, as Linux counts them. */
import { readdirSync, readFileSync } from 'node:fs';
import type { Lab } from '../../src/lab/lab.ts';

export interface Resources {
  residentMiB: number;
  descriptors: number;
}

export function resourcesOf(lab: Lab, name: string): Resources {
  const process = `/proc/${lab.peer(name).pid}`;
  const resident = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`${process}/status`, 'utf8'))?.[1];
  return { residentMiB: Number(resident) / 1024, descriptors: readdirSync(`${process}/fd`).length };
}
