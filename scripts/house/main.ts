/**
 * The program of `scripts/rooms`. It draws the house from its imports. The exit code is 1 when an arrow
 * points up or files import each other in a circle.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { argumentsOf } from '../arguments.ts';
import { circles, picture, readTree, wrongArrows } from './graph.ts';

const { values } = argumentsOf(
  'scripts/rooms',
  `[--write]
       draws every room and floor of src/ with what it imports; an import that points up or in a circle is a failure
       --write  puts the picture into src/README.md`,
  { options: { write: { type: 'boolean', default: false } } },
);
const src = new URL('../../src/', import.meta.url).pathname;
const tree = readTree(src);
const drawn = picture(tree);
process.stdout.write(`${drawn}\n`);

if (values.write) {
  const readme = `${src}README.md`;
  const text = readFileSync(readme, 'utf8');
  const place = /(<!-- made by scripts\/rooms --write -->\n```text\n)[\s\S]*?(\n```)/;
  if (!place.test(text)) throw new Error(`${readme} has no place for the picture`);
  writeFileSync(
    readme,
    text.replace(place, (_, before: string, after: string) => before + drawn + after),
  );
}

const faults = [
  ...wrongArrows(tree).map((arrow) => `points up: ${arrow}`),
  ...circles(tree).map((files) => `import each other: ${files.join(', ')}`),
];
for (const fault of faults) process.stderr.write(`${fault}\n`);
process.exitCode = faults.length > 0 ? 1 : 0;
