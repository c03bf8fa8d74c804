/** The state that a lab leaves in its folder for later commands. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Settings } from '../node/settings.ts';
import type { LanState } from './lan.ts';

/** Everything that `Lab.open` needs besides the homes. */
export interface LabState {
  threshold: number;
  settings: Partial<Settings>;
  ciphers: Settings['cipher'][];
  /**
   * The passphrase of the operator's key. Only the owner can read the file, and a lab's key guards nothing.
   */
  passphrase: string;
  invitation: string;
  /** The operator's commands run in the home of this member. */
  operatorAt: string;
  names: string[];
  lan: LanState | null;
}

const fileIn = (dir: string): string => join(dir, 'lab.json');

export const isLab = (dir: string): boolean => existsSync(fileIn(dir));

export const writeLabState = (dir: string, state: LabState): void =>
  writeFileSync(fileIn(dir), `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });

/** Throws when no lab was left in `dir`. */
export function readLabState(dir: string): LabState {
  if (!isLab(dir)) throw new Error(`there is no lab in ${dir}; make one with: holdfast lab up`);
  return JSON.parse(readFileSync(fileIn(dir), 'utf8')) as LabState;
}
