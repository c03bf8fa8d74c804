/** §7.6 with a hundred thousand inputs: damaged messages of every kind, from one member; nobody else notices. */
import { afterAll, expect, test } from 'vitest';
import { type FuzzCounts, fuzzDrivers, fuzzUseAnswers, fuzzUseRequests } from '../support/fuzzing.ts';
import { fuzzFiles } from '../support/fuzzing-files.ts';
import { fuzzReaders, fuzzStreams } from '../support/fuzzing-streams.ts';

const seed = Number(process.env.HOLDFAST_FUZZ_SEED ?? Date.now() % 2 ** 31);
const counts: FuzzCounts = new Map();
const total = (): number => [...counts.values()].reduce((sum, { inputs }) => sum + inputs, 0);
afterAll(() => {
  process.stdout.write(`fuzzing with HOLDFAST_FUZZ_SEED=${seed}: ${total()} inputs\n`);
  for (const [where, { inputs, refused }] of counts)
    process.stdout.write(`  ${where}: ${inputs} inputs, ${refused} refused by name\n`);
});

const seeded = (name: string, run: (seed: number) => Promise<void>): void =>
  test(`${name} (HOLDFAST_FUZZ_SEED=${seed})`, () => run(seed));

seeded('damaged frames stop no driver', (at) => fuzzDrivers(at, 70_000, counts));
seeded('no damaged request is given a partial', (at) => fuzzUseRequests(at, 15_000, counts));
seeded('damaged answers stop no coordinator', (at) => fuzzUseAnswers(at, 1_500, counts));
seeded('every reader of bytes takes them or refuses them', (at) => fuzzReaders(at, 20_000, counts));
seeded('every reader of files takes them or refuses them in one line', (at) => fuzzFiles(at, 20_000, counts));
seeded('damaged bytes on every stream stop no transport', (at) => fuzzStreams(at, 1_500, counts));

test('that were a hundred thousand', () => expect(total()).toBeGreaterThanOrEqual(100_000));
