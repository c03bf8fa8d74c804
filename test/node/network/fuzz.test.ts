/** §7.6: whatever arrives in place of a real message is refused by its sender's name, and the group goes on. */
import { afterAll, test } from 'vitest';
import { type FuzzCounts, fuzzDrivers, fuzzUseAnswers, fuzzUseRequests } from '../../support/fuzzing.ts';
import { fuzzFiles } from '../../support/fuzzing-files.ts';
import { fuzzReaders, fuzzStreams } from '../../support/fuzzing-streams.ts';

const seed = Number(process.env.HOLDFAST_FUZZ_SEED ?? 20_260_729);
const counts: FuzzCounts = new Map();
afterAll(() => {
  for (const [where, { inputs, refused }] of counts)
    process.stdout.write(`${where}: ${inputs} inputs, ${refused} refused
`);
});

const seeded = (name: string, run: (seed: number) => Promise<void>): void =>
  test(`${name} (seed ${seed})`, () => run(seed));

seeded('damaged frames stop no driver', (at) => fuzzDrivers(at, 600, counts));
seeded('no damaged request is given a partial', (at) => fuzzUseRequests(at, 600, counts));
seeded('damaged answers stop no coordinator', (at) => fuzzUseAnswers(at, 40, counts));
seeded('every reader of bytes takes them or refuses them', (at) => fuzzReaders(at, 700, counts));
seeded('every reader of files takes them or refuses them in one line', (at) => fuzzFiles(at, 450, counts));
seeded('damaged bytes on every stream stop no transport', (at) => fuzzStreams(at, 120, counts));
