/**
 * A scenario's transcript: which peer fired which rule, in the order of virtual time, kept as text beside the
 * tests.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import type { Group } from '../../src/simulation/world/group.ts';

/** Starts a transcript at this moment of the group's history. */
export class Transcript {
  readonly #group: Group;
  readonly #title: string;
  readonly #notes: Array<{ at: number; text: string }> = [];
  readonly #from: number;

  constructor(group: Group, title: string) {
    this.#group = group;
    this.#title = title;
    this.#from = group.trace.length;
  }

  /** Writes what the scenario does to the group between two lines. */
  note(text: string): void {
    this.#notes.push({ at: this.#group.trace.length, text });
  }

  /** One line a rule: peer, rule, details. Values are named A, B, … in the order in which they appear. */
  text(): string {
    const names = new Map<string, string>();
    const nameOf = (value: string): string => {
      if (value === 'nil') return value;
      if (!names.has(value)) names.set(value, String.fromCharCode('A'.charCodeAt(0) + names.size));
      return names.get(value) as string;
    };
    const lines = [`# ${this.#title}`];
    for (let at = this.#from; at <= this.#group.trace.length; at += 1) {
      for (const note of this.#notes) if (note.at === at) lines.push(`-- ${note.text}`);
      const entry = this.#group.trace[at];
      if (entry === undefined || entry.output.type !== 'rule') continue;
      const detail = Object.entries(entry.output.detail).map(
        ([name, value]) => `${name}=${name === 'value' ? nameOf(String(value)) : value}`,
      );
      lines.push([entry.node, entry.output.rule.padEnd(16), ...detail].join('  ').trimEnd());
    }
    return `${lines.join('\n')}\n`;
  }

  /** Compares with `golden/<name>.txt`; with `UPDATE_GOLDEN=1` in the environment writes it instead. */
  expectGolden(name: string): void {
    const file = new URL(`golden/${name}.txt`, import.meta.url);
    if (process.env.UPDATE_GOLDEN === '1') writeFileSync(file, this.text());
    expect(this.text()).toBe(readFileSync(file, 'utf8'));
  }
}
