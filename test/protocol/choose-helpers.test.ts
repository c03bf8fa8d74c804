/**
 * Whom a recovering peer chooses of those who grant: always k that hold each other's masks, if k honest ones
 * are there.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hex } from '../../src/protocol/records/codec.ts';
import { faultsOf } from '../../src/protocol/records/roster.ts';
import { chooseHelpers } from '../../src/protocol/recovery/choosing.ts';

const digestOf = (dealer: number): string => String(dealer).padStart(64, '0');

/** Helpers that hold each other's masks but for `gaps` (`a b`: a lacks b's). */
function runOf(helpers: readonly number[], gaps: ReadonlySet<string>) {
  const held = helpers.map((a) => {
    const masks = helpers.filter((b) => !gaps.has(`${a} ${b}`)).map((b) => [b, digestOf(b)]);
    return [a, Object.fromEntries(masks)];
  });
  const publics = helpers.map((dealer) => [digestOf(dealer), { dealer, bytes: new Uint8Array() }]);
  return { helpers: [...helpers], held: Object.fromEntries(held), publics: Object.fromEntries(publics) };
}

function expectAgreeing(run: ReturnType<typeof runOf>, threshold: number, faults: number): void {
  const chosen = chooseHelpers(run, { threshold, faults });
  expect(chosen).toHaveLength(threshold);
  for (const { index } of chosen ?? [])
    for (const { index: other, digest } of chosen ?? []) expect(run.held[index][other]).toBe(hex(digest));
}

test('two liars do not make an honest helper look like the odd one out', () => {
  // Members 1, 3 and 5 are honest, and no more of them are there; 4 sides with 5, so that 1 agrees with the fewest.
  const gaps = new Set(['1 2', '1 4', '2 1', '4 3', '5 2']);
  expectAgreeing(runOf([1, 2, 3, 4, 5], gaps), 3, 2);
});

test('k honest helpers are enough, whatever at most `faults` liars say or withhold', () => {
  const shapes = fc.constantFrom<readonly [number, number]>(
    [5, 3],
    [7, 3],
    [10, 4],
    [13, 5],
    [20, 7],
    [31, 11],
  );
  const asked = shapes.chain(([n, k]) => {
    const faults = faultsOf(n, k, 'byzantine');
    const helpers = Array.from({ length: k + faults }, (_, at) => at + 1);
    return fc.record({
      helpers: fc.constant(helpers),
      k: fc.constant(k),
      liars: fc.shuffledSubarray(helpers, { minLength: faults, maxLength: faults }),
      gaps: fc.array(fc.tuple(fc.nat(100), fc.nat(100), fc.boolean()), { maxLength: 4 * n }),
    });
  });
  fc.assert(
    fc.property(asked, ({ helpers, k, liars, gaps }) => {
      const names = gaps.flatMap(([one, two, lacks]) => {
        const liar = liars[one % liars.length];
        const other = helpers[two % helpers.length];
        return liar === other ? [] : [lacks ? `${other} ${liar}` : `${liar} ${other}`];
      });
      expectAgreeing(runOf(helpers, new Set(names)), k, liars.length);
    }),
    { numRuns: 800 },
  );
});
