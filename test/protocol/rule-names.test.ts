/** The names of rules, and those that are printed, are one table: `src/README.md` lists the same, and the code prints no others. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { printedByInput, printedByRule } from '../../src/protocol/machine/rule-names.ts';
import { rules } from '../../src/protocol/rules.ts';

const src = new URL('../../src/', import.meta.url).pathname;
const printed = [
  ...new Set([...Object.values(printedByRule), ...Object.values(printedByInput)].flat()),
].sort();

/** The names that the steps of the protocol are listed with, after `*Rules:*` or `*Prints:*`. */
function listed(what: 'Rules' | 'Prints'): string[] {
  const [, steps = ''] = readFileSync(join(src, 'README.md'), 'utf8').split(
    '\n## Where each step of the protocol is',
  );
  return [...steps.slice(0, steps.indexOf('\n## ')).matchAll(/\*(\w+):\*((?:[\s,]*`[\w-]+`)+)/g)]
    .filter(([, heading]) => heading === what)
    .flatMap(([, , names = '']) => [...names.matchAll(/[\w-]+/g)].map(([name]) => name));
}

test('the list of steps names every rule, and no other', () => {
  expect(new Set(listed('Rules'))).toEqual(new Set(Object.keys(printedByRule)));
});

test('the list of steps names every printed name, and no other', () => {
  expect([...new Set(listed('Prints'))].sort()).toEqual(printed);
});

test('the rules fire in the order in which the names are listed', () => {
  expect(Object.keys(rules)).toEqual(Object.keys(printedByRule));
});

test('every printed name is printed somewhere in the core', () => {
  const core = join(src, 'protocol');
  const text = readdirSync(core, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => readFileSync(join(core, file), 'utf8'))
    .join('\n');
  const found = [...text.matchAll(/work\.rule\(\s*'([\w-]+)'/g)].map(([, name = '']) => name);
  expect([...new Set(found)].sort()).toEqual(printed);
});
