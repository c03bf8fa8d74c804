/**
 * The program of `scripts/demo`. It founds a group, creates a key, and tells the lab's whole story. It prints
 * a claim only after it has checked the claim.
 */
import { join } from 'node:path';
import { Lab } from '../../src/lab/lab.ts';
import { wholeStory } from '../../src/lab/scenarios/whole-story.ts';
import { argumentsOf } from '../arguments.ts';

const { values: options } = argumentsOf(
  'scripts/demo',
  `[--keep]
       tells the whole story with five daemons on this machine, and checks every claim
       --keep  leaves the group running, and prints how to talk to it and how to end it`,
  { options: { keep: { type: 'boolean', default: false } } },
);
const { group } = wholeStory;
const bits = 3072;

const write = (text: string): void => void process.stdout.write(text);
const proven: string[] = [];

/** Runs one part of the story, and prints its claim. */
async function step(
  title: string,
  claim: string,
  run: (tell: (line: string) => void) => Promise<void>,
): Promise<void> {
  write(`\n── ${title}\n`);
  const startedAtMs = performance.now();
  await run((line) => write(`   ${line}\n`));
  proven.push(claim);
  write(`   ${claim} (${((performance.now() - startedAtMs) / 1000).toFixed(1)} s)\n`);
}

const lab = await Lab.create({ ...group, outlives: options.keep }).catch((error: Error) => {
  process.stderr.write(`the group could not be started: ${error.message}\n`);
  process.exit(1);
});
process.once('SIGINT', () => process.exit(130));

async function story(): Promise<void> {
  write(`Five daemons are up in ${lab.dir}, one for each local cipher: ${group.ciphers?.join(', ')}.\n`);
  write((await lab.must('a', ['status'])).toString('utf8'));
  proven.push('five peers with five different local ciphers founded a group; any 3 of them can use its keys');
  await step(
    `an RSA-${bits} key is created (two safe primes are searched)`,
    `an RSA-${bits} key exists that no machine holds`,
    async () => {
      await lab.createKey('ca', bits);
    },
  );
  for (const { title, claim, run } of wholeStory.steps())
    await step(title ?? claim, claim, (tell) => run(lab, tell));
}

try {
  await story();
  write('\nProven:\n');
  for (const claim of proven) write(`  ✓ ${claim}\n`);
  if (options.keep) await leave();
  else await lab.close();
} catch (error) {
  process.stderr.write(`\n${(error as Error).message}\n${lab.logs()}\n`);
  process.exitCode = 1;
  await lab.close();
}

/** Prints how to talk to the group that stays. */
async function leave(): Promise<void> {
  const pids = [...lab.peers.values()].map((peer) => peer.pid);
  await lab.release();
  write('\nThe group goes on. Talk to it, for example:\n');
  write(`  export HOLDFAST_HOME=${join(lab.dir, 'a')} CREDENTIALS_DIRECTORY=${lab.credentials}\n`);
  write('  ./scripts/holdfast status\n');
  write('  echo hello | ./scripts/holdfast sign --key ca > signature\n');
  write(`and end it with:\n  kill ${pids.join(' ')} && rm -r ${lab.dir}\n`);
}
