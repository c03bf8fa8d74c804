/**
 * Every combination of members that hold their shares, are down, suspended, without a share or back in time,
 * of groups of up to four; of five with `HOLDFAST_SIZES=5`, which takes many minutes.
 */
import { expect, test } from 'vitest';
import { falseClaims } from '../support/claims.ts';
import { inWords, type Situation } from '../support/misfortunes.ts';

/** p1 holds its share and looks at the others, whose order does not matter. */
function* combinations(size: number, letters = 'HDLWS'): Generator<string> {
  if (size === 0) yield '';
  else
    for (let at = 0; at < letters.length; at += 1)
      for (const rest of combinations(size - 1, letters.slice(at))) yield `${letters[at]}${rest}`;
}

const sizes = (process.env.HOLDFAST_SIZES ?? '2,3,4').split(',').map(Number);
const situations = sizes.flatMap((n) =>
  [...combinations(n - 1)].flatMap((others) =>
    Array.from({ length: n - 1 }, (_, at): Situation => ({ threshold: at + 2, members: `H${others}` })),
  ),
);

test('what status claims and advises is what the group then can do, in every combination of members', async () => {
  const found: string[] = [];
  for (const situation of situations)
    for (const claim of await falseClaims(situation)) found.push(`${inWords(situation)}: ${claim}`);
  expect(found).toEqual([]);
});
