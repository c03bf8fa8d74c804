import { seededRandom } from '../../simulation/world/seeded-random.ts';
import { certifiedChain } from '../chain.ts';
import { Killing } from '../killing.ts';
import type { Lab } from '../lab.ts';
import { Remains } from '../remains.ts';
import {
  type Chance,
  check,
  checkNobodyBlamed,
  newestEpoch,
  quick,
  type Scenario,
  type Step,
  untilConnected,
  untilShare,
} from '../scenario.ts';
import { SigningProgram } from '../signing-program.ts';
import { SteadyPrograms } from '../steady-programs.ts';

const message = 'signed whoever was killed\n';
const standardTimes = 30;
const everybody = ['a', 'b', 'c', 'd', 'e'];
/** The problems of the lab's machine that `holdfast doctor` may report. */
const ofTheMachine = new Set(['swap', 'core-dumps']);

/**
 * Resolves when all peers have a share of the newest epoch or a later one, and are connected to each other.
 */
async function untilWhole(lab: Lab): Promise<void> {
  const newest = Math.max(...(await Promise.all(everybody.map((name) => newestEpoch(lab, name)))));
  await Promise.all(everybody.map((name) => untilShare(lab, name, newest)));
  await untilConnected(lab, everybody);
}

/** The generation of each peer's vault. It waits for a rotation that is under way. */
async function generations(lab: Lab): Promise<Map<string, number>> {
  const found = everybody.map(async (name) => {
    const { home } = lab.peer(name);
    return [home, await lab.until(name, async () => Remains.currentGeneration(home))] as const;
  });
  return new Map(await Promise.all(found));
}

export const kills: Scenario = {
  name: 'kills',
  about: 'daemons are killed at random instants, frozen, and all killed at once, while clients sign',
  group: {
    peers: 5,
    threshold: 3,
    ciphers: ['aes', 'blowfish', 'des', '3des', 'xchacha20'],
    settings: { ...quick, refreshPeriodMs: 2500 },
    // A busy machine can keep a group from settling for long.
    patienceMs: 240_000,
  },
  machines: 0,
  times: standardTimes,
  steps: (chance) => storyOf(chance ?? { times: standardTimes, seed: 1 }),
};

function storyOf({ times, seed }: Chance): Step[] {
  const random = seededRandom(seed);
  const remains = new Remains();
  const pauses = Math.max(2, Math.round(times / 30));
  const blackouts = Math.max(2, Math.round(times / 30));
  let program: SigningProgram;
  let expected: Uint8Array;

  /** Does `work` while clients sign. No signature may fail. */
  async function whileSigning(
    lab: Lab,
    tell: (line: string) => void,
    work: (killing: Killing) => Promise<void>,
  ) {
    const killing = new Killing(lab, random, remains);
    const { available } = killing;
    const programs = new SteadyPrograms(program, { message, expected, available });
    try {
      await work(killing);
    } finally {
      await killing.stop();
      const { signatures, askedAgain, slowestMs } = await programs.stop();
      tell(
        `${signatures} signatures, none failed; ${askedAgain} times another daemon had to be asked; the slowest took ${Math.round(slowestMs)} ms`,
      );
    }
    tell(
      `what the killed one was doing: ${killing.phases}; unfinished writes left behind: ${killing.cutWrites}`,
    );
  }

  return [
    {
      claim: `${times} kills at random instants, one after the other: no signature failed, and everyone is back with its share`,
      run: async (lab, tell) => {
        tell(`seed ${seed}`);
        program = await SigningProgram.of(lab, 'ca');
        expected = (await program.sign('a', message)).signature;
        const before = await newestEpoch(lab, 'a');
        await whileSigning(lab, tell, async (killing) => {
          for (let kill = 0; kill < times; kill += 1) await killing.killOne();
          await killing.allBack();
          await untilWhole(lab);
        });
        const epochs = (await newestEpoch(lab, 'a')) - before;
        tell(`${epochs} epochs went by`);
        check(epochs > 0, 'epochs went on');
      },
    },
    {
      claim: `${pauses} daemons frozen for longer than it takes to be given up: no signature failed, and each took part again`,
      run: (lab, tell) =>
        whileSigning(lab, tell, async (killing) => {
          for (let at = 0; at < pauses; at += 1) {
            const name = everybody[Math.floor(random() * everybody.length)] ?? 'a';
            const others = everybody.filter((other) => other !== name);
            await killing.pauseOne(name, () => untilConnected(lab, others));
            await untilWhole(lab);
          }
        }),
    },
    {
      claim: `${blackouts} times all killed at once: each time the group comes back and signs the same bytes`,
      run: async (lab, tell) => {
        const killing = new Killing(lab, random, remains);
        for (let at = 0; at < blackouts; at += 1) {
          await killing.killAll();
          await untilWhole(lab);
          const { signature } = await program.sign('c', message);
          check(Buffer.from(signature).equals(expected), 'the signature is the same');
        }
        await killing.stop();
        tell(`what they were doing: ${killing.phases}; unfinished writes left behind: ${killing.cutWrites}`);
      },
    },
    {
      claim:
        'nothing is lost and nothing forked: one public key, one certified history, nobody blamed, whole audit logs',
      run: async (lab, tell) => {
        for (const name of everybody)
          check(
            (await lab.must(name, ['key', 'public', 'ca'])).toString('utf8') === program.pem,
            `${name} has the same public key`,
          );
        check(program.opensslVerdict(message, expected) === 'Verified OK', 'OpenSSL accepts the signature');
        const newest = Math.max(...(await Promise.all(everybody.map((name) => newestEpoch(lab, name)))));
        // Epochs go on while the chains are read, so some chains are longer than others.
        const chains = await Promise.all(
          everybody.map((name) =>
            lab.until(name, async () => {
              const chain = await certifiedChain(lab, name);
              return chain.length > newest ? chain : null;
            }),
          ),
        );
        const longest = chains.reduce((best, chain) => (chain.length > best.length ? chain : best));
        for (const [at, chain] of chains.entries())
          check(
            chain.every((value, epoch) => value === longest[epoch]),
            `${everybody[at]} has the same history`,
          );
        await checkNobodyBlamed(lab, everybody);
        const audits = await Promise.all(
          everybody.map(async (name) => {
            const { stdout } = await lab.run(name, ['audit', '--verify', '--json']);
            return JSON.parse(stdout.toString('utf8')) as { whole: boolean; endKnown: boolean; last: number };
          }),
        );
        for (const [at, { whole, endKnown }] of audits.entries())
          check(
            whole && endKnown,
            `the audit log of ${everybody[at]} is whole, up to the end its daemon knows`,
          );
        tell(`${audits.reduce((sum, { last }) => sum + last, 0)} lines of five audit logs are whole`);
        tell(`the certificates of ${longest.length - 1} epochs were checked at each of the five`);
      },
    },
    {
      claim:
        'no piece of any older sealed record or store key is left in any home, and holdfast doctor agrees',
      run: async (lab, tell) => {
        const homes = everybody.map((name) => lab.peer(name).home);
        const current = await generations(lab);
        const found = remains.search(homes, current);
        const older = homes.reduce(
          (sum, home) => sum + remains.olderGenerations(home, current.get(home) ?? 0),
          0,
        );
        check(
          found.length === 0,
          `nothing old remains (it does in ${found.map(({ path }) => path).join(', ')})`,
        );
        check(older > everybody.length, 'there were older generations to look for');
        tell(
          `${remains.pieces} pieces of 32 bytes, of ${older} older generations, were looked for in five homes`,
        );
        for (const name of everybody)
          await lab.until(name, async () => {
            const { stdout } = await lab.run(name, ['doctor', '--json']);
            const { problems } = JSON.parse(stdout.toString('utf8')) as { problems: Array<{ code: string }> };
            return problems.every(({ code }) => ofTheMachine.has(code)) ? true : null;
          });
      },
    },
  ];
}
