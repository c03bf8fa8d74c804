/** Reads the imports of `src/`. It finds the floor of each file, the arrows, and the wrong arrows. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Room, rooms } from './floors.ts';

/** A tree of sources: the text of each file, by its path below `src`. */
export type Tree = Record<string, string>;

/** Reads all TypeScript files below a folder. */
export function readTree(src: string): Tree {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  );
  return Object.fromEntries(files.sort().map((path) => [path, readFileSync(join(src, path), 'utf8')]));
}

export const code = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|\s)\/\/.*$/gm, '$1');

/**
 * The files that a file imports, exports again, or starts as a thread or process. Paths are as the file
 * writes them.
 */
export const importsOf = (text: string): string[] =>
  [
    ...code(text).matchAll(
      /(?:^|[;\n])\s*(?:import|export)\b[^;'"]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(\s*['"]([^'"]+)['"]|(?:^|[;\n])\s*import\s*['"]([^'"]+)['"]|new URL\(\s*['"](\.[^'"]+\.[jt]s)['"]/g,
    ),
  ].map((match) => match[1] ?? match[2] ?? match[3] ?? match[4] ?? '');

/** An import: the path of the file, and the path that it imports, both below `src`. */
export interface Arrow {
  from: string;
  to: string;
}

/** The imports between files of the tree. Imports of libraries are left out. */
export const arrowsOf = (tree: Tree): Arrow[] =>
  Object.entries(tree).flatMap(([from, text]) =>
    importsOf(text)
      .filter((imported) => imported.startsWith('.'))
      .map((imported) => ({ from, to: join(dirname(from), imported) })),
  );

const roomOf = (file: string): Room | undefined => rooms.find(({ name }) => file.startsWith(`${name}/`));

/** The floor of a file, as `room` or `room/floor`. Null when the table has no place for it. */
export function floorOf(file: string): string | null {
  const room = roomOf(file);
  if (room === undefined) return null;
  if (room.floors === undefined) return room.name;
  const inside = file.slice(room.name.length + 1);
  const named = room.floors.find(
    (floor) => floor === inside || (floor.endsWith('/') && inside.startsWith(floor)),
  );
  const floor = named ?? (room.floors.includes('*.ts') && !inside.includes('/') ? '*.ts' : undefined);
  return floor === undefined ? null : `${room.name}/${floor}`;
}

export const allFloors: readonly string[] = rooms.flatMap(({ name, floors }) =>
  floors === undefined ? [name] : floors.map((floor) => `${name}/${floor}`),
);

function isWrong({ from, to }: Arrow): boolean {
  const [room, there] = [roomOf(from), roomOf(to)];
  const [floor, target] = [floorOf(from), floorOf(to)];
  if (room === undefined || there === undefined || floor === null || target === null) return true;
  if (room !== there) return !room.may.includes(there.name);
  return allFloors.indexOf(target) > allFloors.indexOf(floor);
}

/** Arrows that point up, or to a room that the table does not allow, each as one line. */
export const wrongArrows = (tree: Tree): string[] =>
  arrowsOf(tree)
    .filter(isWrong)
    .map(({ from, to }) => `${from} imports ${to}`);

/**
 * Circles of files that import each other, directly or through others. It gives one sorted list for each
 * circle. Tarjan 1972.
 */
export function circles(tree: Tree): string[][] {
  const next = new Map<string, string[]>(Object.keys(tree).map((file) => [file, []]));
  for (const { from, to } of arrowsOf(tree)) if (next.has(to)) next.get(from)?.push(to);
  const [order, low, stack, found] = [
    new Map<string, number>(),
    new Map<string, number>(),
    [] as string[],
    [] as string[][],
  ];
  const visit = (file: string): number => {
    let lowest = order.size;
    order.set(file, lowest);
    stack.push(file);
    for (const to of next.get(file) ?? [])
      if (!order.has(to)) lowest = Math.min(lowest, visit(to));
      else if (stack.includes(to)) lowest = Math.min(lowest, order.get(to) ?? lowest);
    low.set(file, lowest);
    if (lowest === order.get(file)) {
      const circle = stack.splice(stack.indexOf(file));
      if (circle.length > 1 || (next.get(file) ?? []).includes(file)) found.push(circle.sort());
    }
    return lowest;
  };
  for (const file of next.keys()) if (!order.has(file)) visit(file);
  return found;
}

/** The width of the picture. */
const columns = 110;

/** A heading and words after it. Further lines begin below the first word. */
function wrapped(heading: string, words: readonly string[]): string[] {
  const lines = [heading];
  for (const word of words) {
    const last = lines.at(-1) ?? '';
    if (last.length + word.length + 1 > columns) lines.push(`${' '.repeat(heading.length)} ${word}`);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}

/**
 * The picture: every floor, the number of its files, and the floors that they import. The last line is the
 * ground.
 */
export function picture(tree: Tree): string {
  const downward = [...allFloors].reverse();
  const shown = (floor: string): string => floor.replace('*.ts', '').replace(/\/$/, '');
  const wide = Math.max(...allFloors.map((floor) => shown(floor).length));
  return downward
    .flatMap((floor) => {
      const files = Object.keys(tree).filter((file) => floorOf(file) === floor);
      if (files.length === 0) return [];
      const reached = new Set(
        arrowsOf(tree).flatMap(({ from, to }) => (files.includes(from) ? [floorOf(to)] : [])),
      );
      const below = downward.filter((other) => other !== floor && reached.has(other)).map(shown);
      const heading = `${shown(floor).padEnd(wide)} ${String(files.length).padStart(3)}`;
      return wrapped(below.length > 0 ? `${heading} →` : heading, below);
    })
    .join('\n');
}
