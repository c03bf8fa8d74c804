import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { checkFree, writePrivateFile } from '../../node/home/home.ts';
import { nameRule } from '../../node/settings.ts';
import { invitationText } from '../../protocol/records/admission.ts';
import { hex } from '../../protocol/records/codec.ts';
import {
  clusterIdOf,
  type FaultModel,
  faultModelSchema,
  type Genesis,
  genesisSchema,
} from '../../protocol/records/genesis.ts';
import { limits } from '../../protocol/records/limits.ts';
import { collect, optionsOf, wholeNumber } from '../context.ts';
import { warnOfFaultModel } from '../fault-model.ts';
import { newOperatorKey, operatorPublicKey } from '../key-files.ts';
import { passphraseSource } from '../passphrases.ts';
import { createPeer, defaultPeerName, type PeerOptions, withPeerOptions } from '../peer-options.ts';
import { confirmSpare, membersToSpareOne, spareOfFounding } from '../spare.ts';
import { CommandError, progress, say, sayJson } from '../terminal.ts';

interface InitOptions extends PeerOptions {
  name: string;
  peer: string;
  threshold: number;
  operator?: string;
  operators?: string;
  passphraseFile?: string[];
  membersMax: number;
  faults: FaultModel;
  yes: boolean;
  passphraseWork?: number;
}

export const clusterInitCommand = (): Command =>
  withPeerOptions(new Command('init'))
    .description('make a new cluster: operator key and first peer; prints the invitation')
    .requiredOption('--name <name>', "the cluster's name")
    .requiredOption('--threshold <k>', 'how many peers must work together to use a key', wholeNumber)
    .option('--peer <name>', "the first peer's name", defaultPeerName())
    .option('--operator <file>', 'where to keep the operator key (default: in the home)')
    .option('--operators <m/files>', 'several operators, of whom m must agree: 2/a.key,b.key,c.key')
    .option(
      '--passphrase-file <file>',
      'file whose first line is the passphrase, mode 0600 (of all new operator keys; or repeat it, one for each)',
      collect,
    )
    .option('--members-max <n>', 'highest number of members, ever', wholeNumber, limits.membersDefault)
    .option('--yes', 'go on with a choice that never leaves a member to spare, without being asked', false)
    .addOption(
      new Option('--faults <model>', 'what a bad peer may do: lie, or only fall silent')
        .choices(faultModelSchema.options)
        .default('byzantine'),
    )
    .addOption(
      new Option('--passphrase-work <log2N>', 'scrypt work, for tests').argParser(wholeNumber).hideHelp(),
    )
    .action(async (_, command: Command) => {
      const options = optionsOf<InitOptions>(command);
      const dir = resolve(options.home);
      checkFree(dir);
      const { needed, files } = operatorFiles(dir, options);
      const plan = checkedGenesis(options, needed, files.length);
      await confirmSpare(spareOfFounding(plan.membersMax, plan), options.yes, 'give --yes');
      const operators = await prepareOperators(files, options);
      const genesis: Genesis = { ...plan, operators: operators.map((operator) => operator.publicKey) };
      warnOfFaultModel(genesis);
      const { home, peer, fingerprint } = await createPeer({
        dir,
        name: options.peer,
        settings: options,
        invitationFor: (lobby) => ({ v: 1, genesis, lobby }),
      });
      for (const { file, fileText } of operators) if (fileText !== null) writePrivateFile(file, fileText);
      progress(`cluster ${genesis.name}, first peer ${options.peer} in ${options.home}`);
      progress(keptApart(files, needed));
      const enough = membersToSpareOne(genesis);
      if (enough !== null)
        progress(`from ${enough} members on, signing and refreshing can each do without one of them`);
      progress(
        `next: holdfast start --home ${options.home}, and on each other machine: holdfast join INVITATION`,
      );
      const invitation = invitationText(home.invitation);
      if (options.json)
        sayJson({ cluster: hex(clusterIdOf(genesis)), name: options.peer, peer, fingerprint, invitation });
      else say(invitation);
    });

/** Where the operators' keys are, and what a thief of them could do. */
function keptApart(files: readonly string[], needed: number): string {
  if (files.length === 1)
    return `operator key: ${files[0]}; whoever has it and its passphrase controls every key: keep it apart`;
  const who =
    needed === 1 ? 'any one of them and its passphrase' : `any ${needed} of them and their passphrases`;
  return `operator keys: ${files.join(', ')}; whoever has ${who} controls every key: keep them apart from each other`;
}

function operatorFiles(dir: string, options: InitOptions): { needed: number; files: string[] } {
  if (options.operators === undefined)
    return {
      needed: 1,
      files: [options.operator === undefined ? join(dir, 'operator.key') : resolve(options.operator)],
    };
  const [, needed, list] = /^(\d+)\/(.+)$/.exec(options.operators) ?? [];
  if (needed === undefined || list === undefined || options.operator !== undefined)
    throw new CommandError('usage', 'write --operators as 2/a.key,b.key,c.key, and without --operator');
  const files = list.split(',').map((file) => resolve(file));
  if (Number(needed) < 1 || Number(needed) > files.length)
    throw new CommandError(
      'usage',
      `--operators must need from 1 to ${files.length} of the ${files.length} that it names (it needs ${Number(needed)})`,
    );
  return { needed: Number(needed), files };
}

/** The genesis with placeholders for the operators' keys. It is checked before any key or file is made. */
function checkedGenesis(options: InitOptions, operatorsNeeded: number, operatorCount: number): Genesis {
  const { threshold, membersMax } = options;
  if (threshold < 2) throw new CommandError('usage', `--threshold must be at least 2 (it is ${threshold})`);
  if (membersMax < 2 || membersMax > limits.membersMax)
    throw new CommandError(
      'usage',
      `--members-max must be between 2 and ${limits.membersMax} (it is ${membersMax})`,
    );
  if (threshold > membersMax)
    throw new CommandError(
      'usage',
      `--threshold must be at most --members-max (${threshold} is over ${membersMax})`,
    );
  const genesis: Genesis = {
    v: 1,
    name: options.name,
    operators: Array.from({ length: operatorCount }, (_, at) => new Uint8Array(32).fill(at)),
    operatorsNeeded,
    threshold,
    membersMax,
    faultModel: options.faults,
    absentEpochsMax: limits.absentEpochsDefault,
    nonce: new Uint8Array(randomBytes(16)),
  };
  const checked = genesisSchema.safeParse(genesis);
  if (!checked.success) {
    const field = String(checked.error.issues[0]?.path[0]);
    const rule = field === 'name' ? nameRule : 'out of bounds';
    throw new CommandError('usage', `--${field} is not possible: ${rule}`);
  }
  clusterIdOf(genesis);
  return genesis;
}

/** Operators whose files exist keep their keys. The others get new keys. */
async function prepareOperators(files: readonly string[], options: InitOptions) {
  const missing = files.filter((file) => !existsSync(file));
  const passphraseOf = passphraseSource(options.passphraseFile, missing.length);
  const operators: Array<{ file: string; publicKey: Uint8Array; fileText: string | null }> = [];
  for (const file of files) {
    const at = missing.indexOf(file);
    if (at < 0) {
      operators.push({ file, publicKey: operatorPublicKey(file), fileText: null });
      continue;
    }
    const of = missing.length === 1 ? 'the new operator key' : `the new operator key ${file}`;
    const passphrase = await passphraseOf(at, { of, fresh: true });
    operators.push({ file, ...(await newOperatorKey(passphrase, options.passphraseWork)) });
  }
  return operators;
}
