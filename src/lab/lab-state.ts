/** What a lab that goes on leaves in its folder, for the commands that come after. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Settings } from '../node/settings.ts';
import type { LanState } from './lan.ts';

export interface LabState {
  threshold: number;
  settings: Partial<Settings>;
  ciphers: Settings['cipher'][];
  /** Of the operator's key. This is a laboratory: the file is its owner's only, and the key guards nothing. */
  passphrase: string;
  invitation: string;
  /** The member whose home the operator's commands run in. */
  operatorAt: string;
  names: string[];
  lan: LanState | null;
}

const fileIn = (dir: string): string => join(dir, 'lab.json');

export const isLab = (dir: string): boolean => existsSync(fileIn(dir));

export const writeLabState = (dir: string, state: LabState): void =>
  writeFileSync(fileIn(dir), `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });

/** Throws when no lab was left there. */
export function readLabState(dir: string): LabState {
  if (!isLab(dir)) throw new Error(`there is no lab in ${dir}; make one with: holdfast lab up`);
  return JSON.parse(readFileSync(fileIn(dir), 'utf8')) as LabState;
}
