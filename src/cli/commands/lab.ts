/** A group of real daemons on this machine, to play with. The lab's code is loaded only when one of these runs. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import type { Lab } from '../../lab/lab.ts';
import type { Scenario } from '../../lab/scenario.ts';
import { optionsOf, wholeNumber } from '../context.ts';
import { CommandError, progress, readInput, say, sayJson, sayTable, strong } from '../terminal.ts';

interface DirOption {
  dir: string;
}

const dirOption = (): Option =>
  new Option('--dir <dir>', 'where the lab lives').default(
    join(homedir(), '.holdfast-lab'),
    '~/.holdfast-lab',
  );
const primesOption = (): Option =>
  new Option('--primes-file <file>', 'JSON with hex p and q, instead of a search for them').hideHelp();

export const labCommand = (): Command =>
  new Command('lab')
    .description('a group of real daemons on this machine')
    .addCommand(upCommand())
    .addCommand(runScenarioCommand())
    .addCommand(showCommand())
    .addCommand(peerCommand('kill', 'end its daemon as if the power were cut', (lab, name) => lab.kill(name)))
    .addCommand(peerCommand('stop', 'end its daemon', (lab, name) => lab.stop(name)))
    .addCommand(peerCommand('start', 'start its daemon again', (lab, name) => lab.start(name)))
    .addCommand(
      peerCommand('pause', 'stop its clock: it is silent, and its connections stay open', (lab, name) =>
        lab.pause(name),
      ),
    )
    .addCommand(peerCommand('cut', 'pull its network cable (of a lab made with --lan)', cutOff))
    .addCommand(peerCommand('heal', 'undo pause and cut', heal))
    .addCommand(downCommand());

interface UpOptions extends DirOption {
  peers: number;
  threshold: number;
  lan: boolean;
  bits: number;
  primesFile?: string;
}

const upCommand = (): Command =>
  new Command('up')
    .description(
      'start daemons, found a cluster of them, and create the signing key ca; all goes on afterwards',
    )
    .option('--peers <n>', 'how many', wholeNumber, 5)
    .option('--threshold <k>', 'how many of them use a key together', wholeNumber, 3)
    .option('--lan', 'each in a network namespace of its own, with a cable that can be cut', false)
    .option('--bits <bits>', 'size of the key', wholeNumber, 2048)
    .addOption(primesOption())
    .addOption(dirOption())
    .action(async (_, command: Command) => {
      const { peers, threshold, lan, bits, primesFile, dir, json } = optionsOf<UpOptions>(command);
      const place = resolve(dir);
      if (threshold < 2 || threshold > peers || peers > 20)
        throw new CommandError('usage', '--threshold must be from 2 to --peers, and --peers at most 20');
      const { Lab } = await import('../../lab/lab.ts');
      const { isLab } = await import('../../lab/lab-state.ts');
      if (isLab(place))
        throw new CommandError('refused', `a lab is in ${dir} already; end it with: holdfast lab down`);
      progress(`starting ${peers} daemons in ${dir}…`);
      const lab = await Lab.create({
        ...{
          peers,
          threshold,
          dir: place,
          outlives: true,
          ciphers: ['aes', 'blowfish', 'des', '3des', 'xchacha20'],
        },
        ...(lan ? { lan: await networkFor(peers) } : {}),
      });
      try {
        progress('creating the key ca…');
        await lab.createKey('ca', sourceOf(primesFile, bits));
      } catch (error) {
        await lab.close();
        throw error;
      }
      if (json)
        sayJson({
          dir: place,
          threshold,
          peers: lab.names.map((name) => ({ name, home: join(place, name) })),
        });
      else {
        say(
          `${peers} daemons are up, any ${threshold} of them sign with the key ca. Talk to them, for example:`,
        );
        say(`  export HOLDFAST_HOME=${join(place, 'a')} HOLDFAST_OPERATOR_PASSPHRASE=${lab.passphrase}`);
        say('  holdfast status');
        say('  echo hello | holdfast sign --key ca > signature');
        say(`and end the lab with: holdfast lab down --dir ${place}`);
      }
      await lab.release();
    });

async function networkFor(machines: number) {
  const { Lan, whatForbidsLan } = await import('../../lab/lan.ts');
  const forbidden = whatForbidsLan();
  if (forbidden !== null)
    throw new CommandError(
      'failed',
      `this machine forbids network namespaces: ${forbidden}; leave out --lan`,
    );
  return Lan.create(machines, { outlives: true });
}

const runScenarioCommand = (): Command =>
  new Command('run')
    .description('tell a story with a fresh group, checking every claim; without a name: list the stories')
    .argument('[scenario]')
    .option('--quiet', 'only the claims, without what goes on at each peer', false)
    .option('--bits <bits>', 'size of the key', wholeNumber, 2048)
    .addOption(primesOption())
    .action(async (name: string | undefined, _, command: Command) => {
      const { scenarios } = await import('../../lab/scenarios.ts');
      if (name === undefined)
        return sayTable(
          ['scenario', 'what happens'],
          scenarios.map((one) => [one.name, one.about]),
        );
      const scenario = scenarios.find((one) => one.name === name);
      if (scenario === undefined)
        throw new CommandError(
          'usage',
          `there is no scenario ${name}; there are ${scenarios.map((one) => one.name).join(', ')}`,
        );
      const { quiet, bits, primesFile } = optionsOf<{ quiet: boolean; bits: number; primesFile?: string }>(
        command,
      );
      await tell(scenario, quiet, sourceOf(primesFile, bits));
    });

async function tell(
  scenario: Scenario,
  quiet: boolean,
  source: number | { p: string; q: string },
): Promise<void> {
  const { stage } = await import('../../lab/scenario.ts');
  const { Watch } = await import('../../lab/watch.ts');
  const { whatForbidsLan } = await import('../../lab/lan.ts');
  const forbidden = scenario.machines > 0 ? whatForbidsLan() : null;
  if (forbidden !== null) return say(`skipped: this machine forbids network namespaces: ${forbidden}`);
  say(strong(`${scenario.name}: ${scenario.about}`));
  progress(`a ${scenario.group.threshold}-of-${scenario.group.peers} group is made, with a key…`);
  const lab = await stage(scenario, source);
  process.once('SIGINT', () => process.exit(130));
  const watch = quiet ? null : new Watch(lab, (line) => progress(`  ${line}`));
  try {
    for (const { claim, run } of scenario.steps()) {
      const startedAtMs = performance.now();
      await run(lab).catch((error: Error) => {
        throw new CommandError('failed', `not shown: ${claim}: ${error.message}`);
      });
      say(`✓ ${claim} (${((performance.now() - startedAtMs) / 1000).toFixed(1)} s)`);
    }
  } finally {
    await watch?.stop();
    await lab.close();
  }
}

const showCommand = (): Command =>
  new Command('show')
    .description('every peer of the lab, and what it does')
    .addOption(dirOption())
    .action(async (_, command: Command) => {
      const { inOneLine } = await import('../../lab/watch.ts');
      await withLab(command, async (lab) => {
        const rows = lab.names.map(async (name) => {
          const { pid, api } = lab.peer(name);
          if (pid === null) return [name, '-', 'not running'];
          const limit = AbortSignal.timeout(2000);
          const silent = new Promise<string>((answer) =>
            limit.addEventListener('abort', () => answer('silent')),
          );
          return [
            name,
            String(pid),
            await Promise.race([api.status().then(inOneLine, () => 'silent'), silent]),
          ];
        });
        sayTable(['peer', 'process', 'state'], await Promise.all(rows));
      });
    });

/** A command that does one thing to one peer of the lab. */
const peerCommand = (
  word: string,
  description: string,
  act: (lab: Lab, name: string) => void | Promise<void>,
): Command =>
  new Command(word)
    .description(description)
    .argument('<name>')
    .addOption(dirOption())
    .action(async (name: string, _, command: Command) => {
      await withLab(command, async (lab) => {
        if (!lab.names.includes(name))
          throw new CommandError('usage', `the lab has no peer ${name}; it has ${lab.names.join(', ')}`);
        const { running } = lab.peer(name);
        if (word === 'start' && running) throw new CommandError('refused', `${name} is running already`);
        if (word !== 'start' && word !== 'cut' && word !== 'heal' && !running)
          throw new CommandError(
            'not-running',
            `${name} is not running; start it with: holdfast lab start ${name}`,
          );
        await act(lab, name);
        say(`${name}: ${word} done`);
      });
    });

async function cutOff(lab: Lab, name: string): Promise<void> {
  const { lan } = lab.options;
  if (lan === undefined)
    throw new CommandError(
      'refused',
      'the peers of this lab share the loopback; use pause, or make a lab with --lan',
    );
  await lan.cut(lab.names.indexOf(name));
}

async function heal(lab: Lab, name: string): Promise<void> {
  lab.resume(name);
  await lab.options.lan?.heal(lab.names.indexOf(name));
}

const downCommand = (): Command =>
  new Command('down')
    .description('end the lab: its daemons, its network, its folder')
    .addOption(dirOption())
    .action(async (_, command: Command) => {
      const { dir } = optionsOf<DirOption>(command);
      const lab = await openLab(dir);
      await lab.remove();
      say(`the lab in ${dir} is gone`);
    });

async function openLab(dir: string): Promise<Lab> {
  const { Lab } = await import('../../lab/lab.ts');
  const { isLab } = await import('../../lab/lab-state.ts');
  if (!isLab(resolve(dir)))
    throw new CommandError(
      'failed',
      `there is no lab in ${dir}; make one with: holdfast lab up --dir ${dir}`,
    );
  return Lab.open(resolve(dir));
}

/** Opens the lab for one command, and leaves it running. */
async function withLab(command: Command, use: (lab: Lab) => Promise<void>): Promise<void> {
  const lab = await openLab(optionsOf<DirOption>(command).dir);
  try {
    await use(lab);
  } finally {
    await lab.release();
  }
}

function sourceOf(primesFile: string | undefined, bits: number): number | { p: string; q: string } {
  return primesFile === undefined ? bits : JSON.parse(readInput(primesFile).toString('utf8'));
}
