/** The house rules that a machine can check: rooms, imports, determinism of the core, and the top level. */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { rooms } from '../scripts/house/floors.ts';
import {
  circles,
  code,
  floorOf,
  importsOf,
  picture,
  readTree,
  type Tree,
  wrongArrows,
} from '../scripts/house/graph.ts';

const topLevel = new Set([
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'src',
  'config',
  'scripts',
  'test',
  'README.md',
  'LICENSE',
  'node_modules',
  'dist',
]);

/** Time and chance are inputs in the mathematics and in the core. */
const impure =
  /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bset(?:Timeout|Interval|Immediate)\b|\bperformance\b|\brandom(?:Bytes|Fill|FillSync|Int|UUID)\s*\(|\bgetRandomValues\b|\bwebcrypto\b/;
/** Ways to take entropy from the system by import, whatever it is called afterwards. */
const impureImport =
  /import\s*\{[^}]*\b(?:randomBytes|randomFill|randomFillSync|randomInt|randomUUID|webcrypto|performance|setTimeout|setInterval|setImmediate)\b[^}]*\}\s*from\s*'(?:node:)?(?:crypto|timers|timers\/promises|perf_hooks)'/;

const importsWithoutEnding = (tree: Tree): string[] =>
  Object.entries(tree).flatMap(([file, text]) =>
    importsOf(text)
      .filter((imported) => imported.startsWith('.') && !/\.(?:ts|json)$/.test(imported))
      .map((imported) => `${file} imports ${imported}`),
  );

const hiddenTimeAndChance = (tree: Tree): string[] =>
  Object.entries(tree).flatMap(([file, text]) => {
    if (!/^(?:crypto|keys|protocol)\//.test(file)) return [];
    const found = impure.exec(withoutParameters(code(text))) ?? impureImport.exec(code(text));
    return found === null ? [] : [`${file} uses ${found[0]}`];
  });

/** Where the core takes what it has stored for what it wrote: the only casts that it may have, by file. */
const castsAllowed: Readonly<Record<string, number>> = { 'protocol/machine/durable-records.ts': 4 };

/** Ways around the types of the core: casts but `as const`, `any`, and `!` after what may be missing. */
const waysAroundTypes = (tree: Tree): string[] =>
  Object.entries(tree).flatMap(([file, text]) => {
    if (!file.startsWith('protocol/')) return [];
    const written = code(text)
      .replace(/^(?:import|export)\b[^;]*?\bfrom\b[^;]*;/gm, '')
      .replace(/'(?:[^'\\\n]|\\.)*'/g, "''");
    const casts = [...written.matchAll(/\bas (?!const\b)[\w({[]+/g)].map(([found]) => found);
    const others = [...written.matchAll(/[:<|,]\s*any\b|[\w)\]]!(?=[.;,)\]\s[])/g)].map(([found]) => found);
    return [...(casts.length === (castsAllowed[file] ?? 0) ? [] : casts), ...others].map(
      (found) => `${file}: ${found}`,
    );
  });

/** `randomBytes` that a function is given is a parameter, which is the rule; only other calls of it count. */
const withoutParameters = (text: string): string =>
  /\brandomBytes\s*:\s*(?:RandomBytes|\()|\(\{[^{}]*\brandomBytes\b[^{}]*\}\)\s*(?:\{|=>)/.test(text)
    ? text.replace(/(?<!crypto\.)\brandomBytes\s*\(/g, 'given(')
    : text;

const strangers = (names: readonly string[]): string[] =>
  names.filter((name) => !name.startsWith('.') && !topLevel.has(name));

const root = new URL('..', import.meta.url).pathname;
const src = join(root, 'src');
const filesBelow = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
/** Members that a keyword hides, where `#` does; a constructor has no other way. */
const keywordsForPrivate = (tree: Tree): string[] =>
  Object.entries(tree).flatMap(([file, text]) =>
    [...text.matchAll(/^ +(?:private|protected) (?!constructor\b).*$/gm)].map(
      ([line]) => `${file}: ${line.trim()}`,
    ),
  );

const house = readTree(src);

describe('the house', () => {
  test('has the rooms of the table and no other', () => {
    expect(Object.keys(house).filter((file) => floorOf(file) === null)).toEqual([]);
    const found = new Set(Object.keys(house).map((file) => file.split('/')[0]));
    expect(rooms.filter(({ name }) => !found.has(name))).toEqual([]);
  });
  test('imports only from the ground up', () => expect(wrongArrows(house)).toEqual([]));
  test('has no circle of files', () => expect(circles(house)).toEqual([]));
  test('is drawn in its README as it is', () =>
    expect(readFileSync(join(src, 'README.md'), 'utf8')).toContain(picture(house)));
  test('names every imported file with its ending', () => expect(importsWithoutEnding(house)).toEqual([]));
  test('keeps time and chance out of mathematics and core', () =>
    expect(hiddenTimeAndChance(house)).toEqual([]));
  test('has no way around the types of the core', () => expect(waysAroundTypes(house)).toEqual([]));
  test('marks what a class keeps to itself with #', () => expect(keywordsForPrivate(house)).toEqual([]));
  test('has nothing else at its top level', () => expect(strangers(readdirSync(root))).toEqual([]));
});

/** What scripts import of the tests: nothing, for what both need is in a room of `src/`. */
const importsOfTests = (scripts: Tree): string[] =>
  Object.entries(scripts).flatMap(([file, text]) =>
    importsOf(text)
      .filter((imported) => imported.startsWith('.'))
      .map((imported) => join('scripts', dirname(file), imported))
      .filter((path) => path.startsWith('test/'))
      .map((path) => `scripts/${file} imports ${path}`),
  );

test('scripts import nothing of the tests', () =>
  expect(importsOfTests(readTree(join(root, 'scripts')))).toEqual([]));

/** Folders of tests that test several rooms together, and what tests share. */
const besideRooms = new Set(['scenarios', 'system', 'lan', 'long', 'support']);
const foldersOf = (names: readonly string[]): string[] => names.filter((name) => !name.includes('.'));
/** Folders of `test/` that mirror no room, and folders below `test/node/` that mirror no floor of it. */
const mirrorsNothing = (tests: readonly string[], ofNode: readonly string[]): string[] => {
  const floors = rooms.find(({ name }) => name === 'node')?.floors ?? [];
  return [
    ...tests.filter((name) => !besideRooms.has(name) && !rooms.some((room) => room.name === name)),
    ...ofNode.filter((name) => !floors.includes(`${name}/`)).map((name) => `node/${name}`),
  ];
};

test('the folders of test/ mirror the rooms', () =>
  expect(
    mirrorsNothing(
      foldersOf(readdirSync(join(root, 'test'))),
      foldersOf(readdirSync(join(root, 'test/node'))),
    ),
  ).toEqual([]));

/**
 * Source files that a README names (`room/file.ts`, `room/{one,two}.ts`) and that are nowhere it can mean.
 */
function namedInVain(readme: string, text: string, exists: (path: string) => boolean): string[] {
  const named = [...text.matchAll(/`([\w./-]*)(?:\{([\w,-]+)\})?([\w./-]*\.ts)`/g)].flatMap(
    ([, before = '', choices = '', after = '']) =>
      choices.split(',').map((choice) => `${before}${choice}${after}`),
  );
  return named.filter((path) => ![dirname(readme), '.', 'src', 'test'].some((at) => exists(join(at, path))));
}
const readmes = filesBelow(src)
  .concat(filesBelow(join(root, 'test')), filesBelow(join(root, 'config')), join(root, 'README.md'))
  .filter((path) => path.endsWith('.md'))
  .map((path) => relative(root, path));

/** Lines of a README that are wider than a screen. */
const wide = (text: string): string[] => text.split('\n').filter((line) => [...line].length > 120);

/** The name by which a link finds a heading, as GitHub makes it. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
    .replaceAll(' ', '-');
const proseOf = (text: string): string => text.replaceAll(/^```[\s\S]*?^```$/gm, '');
const anchorsIn = (text: string): string[] =>
  [...proseOf(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading));

/**
 * Links of a README that lead to no file, or to no heading of it. `read` gives null for what is not there.
 */
function brokenLinks(readme: string, text: string, read: (path: string) => string | null): string[] {
  const links = [...proseOf(text).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  return links.filter((link) => {
    if (/^https?:/.test(link)) return false;
    const [path = '', anchor] = link.split('#');
    const target = read(path === '' ? readme : join(dirname(readme), path));
    return target === null || (anchor !== undefined && !anchorsIn(target).includes(anchor));
  });
}

/** Functions that a path through the code names (`like this`) and that none of its files has. */
function missingOnPath(section: string, read: (path: string) => string): string[] {
  const files = [...section.matchAll(/`([\w./-]+\.ts)`/g)].map(([, file = '']) => read(file));
  const names = [...section.matchAll(/`([a-z][A-Za-z]{2,})`/g)].map(([, name = '']) => name);
  return names.filter((name) => !files.some((text) => new RegExp(`\\b${name}\\b`).test(text)));
}

describe('its READMEs', () => {
  const textOf = (path: string): string => readFileSync(join(root, path), 'utf8');

  test.each(readmes)('%s names files that are there', (readme) => {
    expect(namedInVain(readme, textOf(readme), (path) => existsSync(join(root, path)))).toEqual([]);
  });
  test.each(readmes)('%s has links that lead somewhere, and no line over 120 columns', (readme) => {
    const read = (path: string): string | null => {
      if (!existsSync(join(root, path))) return null;
      return statSync(join(root, path)).isDirectory() ? '' : textOf(path);
    };
    expect(brokenLinks(readme, textOf(readme), read)).toEqual([]);
    expect(wide(textOf(readme))).toEqual([]);
  });
  test('the root README has 250 lines at most', () =>
    expect(textOf('README.md').split('\n').length).toBeLessThanOrEqual(251));
  test('the paths of a signature and of a dealing name eight files in order, with functions that are there', () => {
    const sections = textOf('src/README.md')
      .split(/^## /m)
      .filter((section) => section.startsWith('The path of '));
    expect(sections).toHaveLength(2);
    for (const section of sections) {
      expect(section.match(/^\d+\. `/gm)?.length).toBeLessThanOrEqual(8);
      expect(missingOnPath(section, (file) => textOf(join('src', file)))).toEqual([]);
    }
  });
});

describe('each check can fail', () => {
  const tree = (file: string, text: string): Tree => ({ [file]: text });

  test.each([
    ['crypto/a.ts', "import { b } from '../protocol/b.ts';"],
    ['cipher/a.ts', "import type { B } from '../protocol/b.ts';"],
    ['protocol/a.ts', "export { b } from '../cipher/b.ts';"],
    ['protocol/change/a.ts', "import {\n  b,\n  c,\n} from '../../node/b.ts';"],
    ['node/a.ts', "const b = await import('../api/b.ts');"],
    ['node/a.ts', "const worker = new URL('../lab/worker.ts', import.meta.url);"],
    ['api/a.ts', "import '../cli/b.ts';"],
    ['lab/a.ts', "import { b } from '../cipher/b.ts';"],
    ['protocol/a.ts', "import { helper } from '../../test/support/helper.ts';"],
    ['protocol/records/a.ts', "import { b } from '../machine/b.ts';"],
    ['protocol/change/a.ts', "import { step } from '../step.ts';"],
    ['node/driver/a.ts', "import { b } from '../use/b.ts';"],
    ['node/a.ts', "import { b } from './store/b.ts';"],
    ['cli/commands/a.ts', "import { main } from '../main.ts';"],
  ])('%s with %j', (file, text) => {
    expect(wrongArrows(tree(file, text))).toHaveLength(1);
  });

  test('but not on arrows that point upward, nor on comments', () => {
    expect(wrongArrows(tree('protocol/a.ts', "import { b } from '../crypto/b.ts';"))).toEqual([]);
    expect(
      wrongArrows(tree('cli/a.ts', "import { b } from '../crypto/b.ts';\nimport z from 'zod';")),
    ).toEqual([]);
    expect(wrongArrows(tree('crypto/a.ts', "// import { b } from '../node/b.ts';\n"))).toEqual([]);
    expect(wrongArrows(tree('protocol/change/a.ts', "import { b } from '../records/b.ts';"))).toEqual([]);
    expect(wrongArrows(tree('node/driver/a.ts', "import { b } from '../store/b.ts';"))).toEqual([]);
  });

  test.each([
    'const one = found as Value;',
    'const one = found as unknown as Value;',
    'const one = <T>(found: unknown) => found as T;',
    'const one: any = found;',
    'const one: Array<any> = found;',
    'const one = list[0]!.value;',
    'const one = found!;',
  ])('a way around the types with %j', (text) => {
    expect(waysAroundTypes(tree('protocol/machine/a.ts', text))).not.toEqual([]);
  });

  test('but none in text, in imports or in a comparison', () => {
    const text =
      "import { one as other } from './b.ts';\nconst a = ['b'] as const;\n" +
      "throw new Error('as many as any!');\nif (a !== b && !(c)) d();\n";
    expect(waysAroundTypes(tree('protocol/a.ts', text))).toEqual([]);
  });

  test('a file that has no floor is found', () => {
    expect(floorOf('attic/a.ts')).toBeNull();
    expect(floorOf('node/attic/a.ts')).toBeNull();
  });

  test('a circle is found, also a long one, and one of types only', () => {
    const circle = {
      'api/a.ts': "import type { B } from './b.ts';",
      'api/b.ts': "export { c } from './c.ts';",
      'api/c.ts': "const a = await import('./a.ts');",
      'api/d.ts': "import { a } from './a.ts';",
    };
    expect(circles(circle)).toEqual([['api/a.ts', 'api/b.ts', 'api/c.ts']]);
    expect(circles({ ...circle, 'api/c.ts': '' })).toEqual([]);
  });

  test('a README that names a file of yesterday is found', () => {
    const there = (path: string) => ['src/node/a.ts', 'src/node/use/b.ts', 'test/c.test.ts'].includes(path);
    const named = (text: string) => namedInVain('src/node/README.md', text, there);
    expect(named('`a.ts`, `node/use/b.ts`, `{a,use/b}.ts`, `c.test.ts`, d.ts')).toEqual([]);
    expect(named('`b.ts` and `use/{b,d}.ts`')).toEqual(['b.ts', 'use/d.ts']);
  });

  test('a link that leads nowhere is found, a line too wide, and a function of yesterday on a path', () => {
    const read = (path: string): string | null =>
      ({ 'src/README.md': '# Top\n```\n# code\n```\n## `k`, and more\n', 'src/a.ts': 'function now() {}' })[
        path
      ] ?? null;
    const broken = (text: string) => brokenLinks('src/README.md', text, read);
    expect(
      broken('[a](a.ts) [k](#k-and-more) [up](../src/README.md#top) [web](https://a.example/b)'),
    ).toEqual([]);
    expect(broken('[a](b.ts), [code](#code), [k](../src/README.md#more)')).toHaveLength(3);
    expect(wide(`${'–'.repeat(120)}\n${'–'.repeat(121)}`)).toHaveLength(1);
    expect(missingOnPath('1. `a.ts`: `now`, `then`, with `k`', () => 'function now() {}')).toEqual(['then']);
  });

  test('an import without its ending is found', () => {
    expect(importsWithoutEnding(tree('node/a.ts', "import { b } from './b';"))).toHaveLength(1);
    expect(importsWithoutEnding(tree('node/a.ts', "import { b } from './b.js';"))).toHaveLength(1);
    expect(importsWithoutEnding(tree('node/a.ts', "import { b } from './b.ts';"))).toEqual([]);
  });

  test.each([
    'const now = Date.now();',
    'const x = Math.random();',
    'setTimeout(() => {}, 1);',
    'const t = performance.now();',
    "import { randomBytes } from 'node:crypto';",
    "import * as crypto from 'node:crypto';\ncrypto.randomBytes(32);",
    'crypto.getRandomValues(new Uint8Array(1));',
  ])('%j in the core is found', (text) => {
    expect(hiddenTimeAndChance(tree('protocol/a.ts', text))).toHaveLength(1);
    expect(hiddenTimeAndChance(tree('crypto/a.ts', text))).toHaveLength(1);
    expect(hiddenTimeAndChance(tree('node/a.ts', text))).toEqual([]);
  });

  test('but not randomness that is a parameter, nor a comment about it', () => {
    const given =
      'const f = (request: { randomBytes: (n: number) => Uint8Array }) => request.randomBytes(4);';
    expect(hiddenTimeAndChance(tree('crypto/a.ts', given))).toEqual([]);
    const method = 'const a: Kind = { draw({ share, randomBytes }) { return randomBytes(4); } };';
    expect(hiddenTimeAndChance(tree('crypto/a.ts', method))).toEqual([]);
    expect(hiddenTimeAndChance(tree('crypto/a.ts', '/** Never Date.now. */\nexport const a = 1;'))).toEqual(
      [],
    );
  });

  test('a script that imports a test is found', () => {
    const found = importsOfTests({
      'a/b.ts': "import { c } from '../../test/c.ts';\nimport { d } from '../../src/d.ts';",
      'a.ts': "import { testTiming } from './test/timing.ts';",
    });
    expect(found).toEqual(['scripts/a/b.ts imports test/c.ts']);
  });

  test('a folder of tests that mirrors no room is found', () => {
    expect(mirrorsNothing(['api', 'long', 'network'], ['store', 'attic'])).toEqual(['network', 'node/attic']);
  });

  test('a stranger at the top level is found', () => {
    expect(strangers(['package.json', '.gitignore', 'docs', 'notes.md'])).toEqual(['docs', 'notes.md']);
  });
});
