/**
 * A group of real daemons on this machine, to play with. The lab's code is loaded only when one of these
 * commands runs.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { cipherNames } from '../../cipher/local-cipher.ts';
import type { Lab } from '../../lab/lab.ts';
import { optionsOf, wholeNumber } from '../context.ts';
import { type DirOption, dirOption, openLab, primesOption, sourceOf, statusOf, withLab } from '../labs.ts';
import { CommandError, progress, say, sayJson, sayTable } from '../terminal.ts';
import { labJoinCommand } from './lab-join.ts';
import { labRunCommand } from './lab-run.ts';

export const labCommand = (): Command =>
  new Command('lab')
    .description('a group of real daemons on this machine')
    .addCommand(upCommand())
    .addCommand(labRunCommand())
    .addCommand(showCommand())
    .addCommand(peerCommand('kill', 'end its daemon as if the power were cut', (lab, name) => lab.kill(name)))
    .addCommand(peerCommand('stop', 'end its daemon', (lab, name) => lab.stop(name)))
    .addCommand(peerCommand('start', 'start its daemon again', (lab, name) => lab.start(name)))
    .addCommand(
      peerCommand('pause', 'stop its clock: it is silent, and its connections stay open', (lab, name) =>
        lab.pause(name),
      ),
    )
    .addCommand(labJoinCommand())
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
      const source = await sourceOf(primesFile, bits);
      const { Lab } = await import('../../lab/lab.ts');
      const { isLab } = await import('../../lab/lab-state.ts');
      if (isLab(place))
        throw new CommandError(
          'refused',
          `a lab is in ${dir} already; end it with: holdfast lab down --dir ${dir}`,
        );
      // The folder must be empty, because `down` removes all of it.
      if (existsSync(place) && readdirSync(place).length > 0)
        throw new CommandError('refused', `${dir} exists already and is not empty; name another with --dir`);
      process.once('SIGINT', () => {
        // The lab's own listener runs first and ends its daemons.
        process.once('exit', () => rmSync(place, { recursive: true, force: true }));
        process.exit(130);
      });
      progress(`starting ${peers} daemons in ${dir}…`);
      const lab = await Lab.create({
        ...{ peers, threshold, dir: place, outlives: true, ciphers: cipherNames },
        ...(lan ? { lan: await networkFor(peers) } : {}),
      }).catch((error: unknown) => {
        rmSync(place, { recursive: true, force: true });
        throw error;
      });
      try {
        progress('creating the key ca…');
        await lab.createKey('ca', source);
      } catch (error) {
        await lab.remove();
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
        say(`  export HOLDFAST_HOME=${join(place, 'a')} CREDENTIALS_DIRECTORY=${lab.credentials}`);
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

const showCommand = (): Command =>
  new Command('show')
    .description('every peer of the lab, and what it does')
    .addOption(dirOption())
    .action(async (_, command: Command) => {
      const { inOneLine } = await import('../../lab/watch.ts');
      await withLab(command, async (lab) => {
        const peers = await Promise.all(
          lab.names.map(async (name) => {
            const { pid, home } = lab.peer(name);
            return { name, home, pid, status: await statusOf(lab, name) };
          }),
        );
        if (optionsOf(command).json) return sayJson({ dir: lab.dir, peers });
        sayTable(
          ['peer', 'process', 'state'],
          peers.map(({ name, pid, status }) =>
            pid === null
              ? [name, '-', 'not running']
              : [name, String(pid), status === null ? 'silent' : inOneLine(status)],
          ),
        );
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
        if (optionsOf(command).json) sayJson({ peer: name, done: word });
        else say(`${name}: ${word} done`);
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
  const { lan } = lab.options;
  if (lan === undefined && !lab.peer(name).paused)
    throw new CommandError(
      'refused',
      `${name} is not paused, and the peers of this lab share the loopback: only a lab made with --lan has cables`,
    );
  lab.resume(name);
  await lan?.heal(lab.names.indexOf(name));
}

const downCommand = (): Command =>
  new Command('down')
    .description('end the lab: its daemons, its network, its folder')
    .addOption(dirOption())
    .action(async (_, command: Command) => {
      const { dir, json } = optionsOf<DirOption>(command);
      const lab = await openLab(dir);
      await lab.remove();
      if (json) sayJson({ dir: lab.dir, gone: true });
      else say(`the lab in ${dir} is gone`);
    });
