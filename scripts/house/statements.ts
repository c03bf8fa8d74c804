/**
 * Counts statements, room by room: `node scripts/house/statements.ts [CHECKOUT…]`. Two checkouts of different
 * commits show the change of a room. The compiler parses the files, so comments, layout and long lines do not
 * count.
 *
 * A statement is a statement of the language (a declaration, an expression, an `if`, a `return`, …) or a
 * member of a class. A block counts by its content. Imports and re-exports do not count, because they follow
 * from the cut of the files. Interfaces and type aliases are shapes, and are counted apart.
 */
import { resolve } from 'node:path';
import {
  isBlock,
  isClassDeclaration,
  isClassExpression,
  isExportDeclaration,
  isImportDeclaration,
  isInterfaceDeclaration,
  isStatement,
  isTypeAliasDeclaration,
  type Node,
} from 'typescript/unstable/ast';
import { API } from 'typescript/unstable/sync';

interface Count {
  files: number;
  statements: number;
  shapes: number;
}

const nothing = (): Count => ({ files: 0, statements: 0, shapes: 0 });

function countIn(node: Node, count: Count): void {
  if (isInterfaceDeclaration(node) || isTypeAliasDeclaration(node)) count.shapes += 1;
  else if (isImportDeclaration(node) || isExportDeclaration(node)) return;
  else if (isStatement(node) && !isBlock(node)) count.statements += 1;
  if (isClassDeclaration(node) || isClassExpression(node)) count.statements += node.members.length;
  node.forEachChild((child) => countIn(child, count));
}

/**
 * The room of a file, such as `src/node` or `test/support`. A file beside the rooms belongs to `src` or
 * `test`.
 */
const roomOf = (path: string): string => path.split('/').slice(0, -1).slice(0, 2).join('/');

/** The counts of each room in `src/`, `test/` and `scripts/` of a checkout. */
function countsOf(checkout: string): Map<string, Count> {
  const root = `${resolve(checkout)}/`;
  const api = new API({ cwd: root });
  try {
    const config = `${root}config/tsconfig.check.json`;
    const project = api.updateSnapshot({ openProjects: [config] }).getProject(config);
    if (project === undefined) throw new Error(`${config} is no project`);
    const counts = new Map<string, Count>();
    for (const file of [...project.rootFiles].sort()) {
      if (!/^(?:src|test|scripts)\/.*\.ts$/.test(file.slice(root.length))) continue;
      const source = project.program.getSourceFile(file);
      if (source === undefined) throw new Error(`${file} is not in the project`);
      const room = roomOf(file.slice(root.length));
      const count = counts.get(room) ?? nothing();
      counts.set(room, count);
      count.files += 1;
      countIn(source, count);
    }
    return counts;
  } finally {
    api.close();
  }
}

function sumOf(counts: ReadonlyMap<string, Count>, top: string): Count {
  const sum = nothing();
  for (const [room, { files, statements, shapes }] of counts)
    if (room === top || room.startsWith(`${top}/`)) {
      sum.files += files;
      sum.statements += statements;
      sum.shapes += shapes;
    }
  return sum;
}

const checkouts = process.argv.slice(2);
const all = (checkouts.length > 0 ? checkouts : ['.']).map(countsOf);
const rooms = [...new Set(all.flatMap((counts) => [...counts.keys()]))].sort();
const cells = ({ files, statements, shapes }: Count): string =>
  [files, statements, shapes].map((n) => String(n).padStart(11)).join('');
const line = (name: string, found: readonly Count[]): string =>
  name.padEnd(20) + found.map(cells).join('  |');

process.stdout.write(`${''.padEnd(20)}${all.map(() => '      files statements     shapes').join('  |')}\n`);
for (const room of rooms)
  process.stdout.write(
    `${line(
      room,
      all.map((counts) => counts.get(room) ?? nothing()),
    )}\n`,
  );
for (const top of ['src', 'test', 'scripts'])
  process.stdout.write(
    `${line(
      `all of ${top}`,
      all.map((counts) => sumOf(counts, top)),
    )}\n`,
  );
