/**
 * `holdfast lab join`: adds one peer to a lab that is up. It makes the peer's home, and ends when the peer
 * has its share.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import type { Lab } from '../../lab/lab.ts';
import type { StatusView } from '../../node/views/view.ts';
import { optionsOf } from '../context.ts';
import { dirOption, statusOf, withLab } from '../labs.ts';
import { CommandError, progress, say, sayJson } from '../terminal.ts';

const connectMs = 5000;

export const labJoinCommand = (): Command =>
  new Command('join')
    .description('make a new peer, start it and admit it; ends when the others have given it its share')
    .argument('<name>', 'lower-case letters and digits')
    .addOption(dirOption())
    .action(async (name: string, _, command: Command) => {
      await withLab(command, async (lab) => {
        await checkName(lab, name);
        await checkMembers(lab);
        const { index, epoch } = await takeIn(lab, name).catch((error: Error) => {
          throw new CommandError('failed', `${name} did not join: ${reasonOf(error)}`);
        });
        if (optionsOf(command).json) sayJson({ peer: name, home: join(lab.dir, name), index, epoch });
        else say(`${name} is member ${index}, with a share of epoch ${epoch}`);
      });
    });

/** A name may be used again by a peer that the lab made and nobody admitted yet. */
async function checkName(lab: Lab, name: string): Promise<void> {
  if (!/^[a-z0-9]{1,63}$/.test(name))
    throw new CommandError('usage', `${name} is no name for a peer of a lab: lower-case letters and digits`);
  const known = lab.names.includes(name);
  if (known && (await statusOf(lab, name))?.state === 'waiting-for-admission') return;
  if (known || existsSync(join(lab.dir, name)))
    throw new CommandError('refused', `${name} is taken in this lab; choose another name`);
}

const areEnough = ({ connected, quorum }: StatusView): boolean => connected.length + 1 >= quorum;

/** An admission needs the operator's home, and enough members that are up. */
async function checkMembers(lab: Lab): Promise<void> {
  for (const name of new Set([lab.operatorAt, ...lab.names])) {
    const status = await statusOf(lab, name);
    if (status?.state !== 'member') continue;
    // A peer that was started a moment ago may not be connected yet.
    await lab
      .until(name, async (api) => (areEnough(await api.status()) ? true : null), connectMs)
      .catch(() => {
        throw new CommandError(
          'not-enough-peers',
          `an admission needs ${status.quorum} of ${status.members} members, and fewer are connected; start more of them: holdfast lab show`,
        );
      });
    if (name !== lab.operatorAt) await lab.operateAt(name);
    return;
  }
  throw new CommandError(
    'not-running',
    'no member of this lab answers; start them with: holdfast lab start NAME',
  );
}

async function takeIn(lab: Lab, name: string): Promise<{ index: number; epoch: number }> {
  const { untilShare } = await import('../../lab/scenario.ts');
  if (!lab.names.includes(name)) {
    progress(`making ${name}…`);
    await lab.join(name);
    // The new daemon outlives this command. So the lab records it before anything can fail.
    lab.save();
    await lab.start(name);
  }
  progress(`${name} asks to be admitted…`);
  await lab.admit([name]);
  progress(`${name} is a member and is given its share…`);
  const epoch = await untilShare(lab, name);
  const { index } = await lab.api(name).status();
  if (index === null) throw new Error(`${name} was evicted meanwhile`);
  return { index, epoch };
}

/** The first line of an error, whose message may have a whole log after it. */
function reasonOf(error: Error): string {
  const { reason = error.message } = error as { reason?: string };
  return reason.split('\n')[0] ?? '';
}
