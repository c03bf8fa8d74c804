import { Command } from 'commander';
import { type ApiClient, ApiError } from '../../client/api-client.ts';
import { ed25519FromSeed } from '../../crypto/signature.ts';
import type { Home } from '../../node/home/home.ts';
import { identityFromBytes, peerIdOf } from '../../node/home/identity.ts';
import { foundingLink, foundingValue } from '../../protocol/machine/create.ts';
import type { Link } from '../../protocol/records/link.ts';
import type { Action } from '../../protocol/records/order.ts';
import { explainChoice } from '../../protocol/records/roster.ts';
import { hashOfValue, type Value } from '../../protocol/records/value.ts';
import { optionsOf, withDaemon } from '../context.ts';
import { type DoneAlready, enteredAs } from '../done-already.ts';
import { confirmAll, isAwaited, type Newcomer, waitingPeers } from '../newcomers.ts';
import { checkOneChange, sayWhatRemains } from '../one-change.ts';
import { openOperators, signAsOperators, wipe } from '../operators.ts';
import { checkEnoughOperators, type Decided, type OrderOptions, runOrder, withOrder } from '../orders.ts';
import { confirmSpare, confirmSpareOf, spareOfFounding } from '../spare.ts';
import { CommandError, explain, progress, say, sayJson, warn } from '../terminal.ts';

/** In milliseconds. A founder that starts at all connects within a few seconds. */
const foundersPatienceMs = 15_000;

interface AdmitOptions extends OrderOptions {
  yes?: string[];
}

/** How a script answers. */
const instead = 'give --yes FINGERPRINT…';

export const admitCommand = (): Command =>
  withOrder(new Command('admit'))
    .description('admit peers that wait in the lobby; the first time, this founds the cluster')
    .argument('[names...]', 'who is admitted (none, while founding: everybody who waits)')
    .option(
      '--yes <fingerprints...>',
      'these fingerprints are right, and it may leave none to spare: for scripts, which cannot be asked',
    )
    .action(async (names: string[], _, command: Command) => {
      const founding = await withDaemon(command, async (daemon) => (await daemon.status()).epoch === null);
      if (founding) await withDaemon(command, (daemon, home) => found(command, names, daemon, home));
      else await admit(command, names);
    });

/** An admission after the founding: one order for all newcomers. */
async function admit(command: Command, named: readonly string[]): Promise<void> {
  const { yes } = optionsOf<AdmitOptions>(command);
  const unnamed = new CommandError('usage', 'name who is to be admitted; holdfast peers shows who waits');
  if (named.length === 0 && yes === undefined) throw unnamed;
  // The founding command may be given again. It names nobody, and means all peers whose fingerprints it
  // gives.
  const names = named.length === 0 ? await otherMembers(command) : [...new Set(named)];
  await runOrder(
    command,
    async (head, daemon, home): Promise<Decided> => {
      const already = await admittedSince(head, daemon, home, names, yes);
      if (already !== null) return already;
      if (named.length === 0) throw unnamed;
      await checkNotYet(head, daemon, home, names, yes);
      for (const name of names)
        if (head.roster.some((member) => member.name === name))
          throw new CommandError(
            'refused',
            `a member named ${name} exists already; a newcomer must join under another name (if it is ${name} with a new home: holdfast reinstate ${name})`,
          );
      const newcomers = await waitingPeers(daemon, home, names);
      const actions = newcomers.map((newcomer): Action => ({ type: 'admit', ...newcomer }));
      sayWhatRemains(checkOneChange(actions, head, home), head, home);
      await confirmAll(newcomers, home, yes);
      await confirmSpareOf(actions, head, { daemon, home }, { yes: yes !== undefined, instead });
      return actions;
    },
    (value, home) =>
      `${names.join(', ')} admitted; ${explainChoice(value.roster.length, value.threshold, home.genesis.faultModel)}`,
  );
}

/**
 * Refuses when some of the named peers are members already, and says what is left to do.
 * @throws CommandError `refused`
 */
async function checkNotYet(
  head: Value,
  daemon: ApiClient,
  home: Home,
  names: readonly string[],
  yes: readonly string[] | undefined,
): Promise<void> {
  const isThere = async (name: string): Promise<boolean> => {
    if (!head.roster.some((member) => member.name === name)) return false;
    if (yes === undefined) return !(await isAwaited(daemon, name));
    const entered = await enteredAs(head, daemon, home, name);
    return entered !== null && yes.includes(entered.fingerprint);
  };
  const there = await Promise.all(names.map(isThere));
  const members = names.filter((_, at) => there[at]);
  if (members.length === 0) return;
  const others = names.filter((_, at) => !there[at]);
  throw new CommandError(
    'refused',
    `${members.join(', ')} ${members.length === 1 ? 'is a member' : 'are members'} already; nothing was done${others.length === 0 ? '' : `; holdfast admit ${others.join(' ')}`}`,
  );
}

const otherMembers = (command: Command): Promise<string[]> =>
  withDaemon(command, async (daemon) =>
    (await daemon.peers()).filter(({ state, self }) => state === 'member' && !self).map(({ name }) => name),
  );

/**
 * When the last of these peers was admitted. Their fingerprints must be in `yes`, or are confirmed now. Null
 * when a name is no member, or belongs to a member with another fingerprint.
 */
async function admittedSince(
  head: Value,
  daemon: ApiClient,
  home: Home,
  names: readonly string[],
  yes: readonly string[] | undefined,
): Promise<DoneAlready | null> {
  const entered = await Promise.all(names.map((name) => enteredAs(head, daemon, home, name)));
  const all = entered.flatMap((one) => (one === null || one.cameBack ? [] : [one]));
  if (all.length < names.length) return null;
  if (yes !== undefined && !all.every(({ fingerprint }) => yes.includes(fingerprint))) return null;
  for (const name of names) if (yes === undefined && (await isAwaited(daemon, name))) return null;
  if (yes === undefined)
    await confirmAll(
      all.map(({ newcomer }) => newcomer),
      home,
      yes,
    );
  return all.map(({ since }) => since).reduce((a, b) => (b.value.epoch > a.value.epoch ? b : a));
}

/**
 * Founds epoch 0: this peer and the named newcomers are its roster, and the operators sign it (§4
 * "Beginning").
 */
async function found(
  command: Command,
  names: readonly string[],
  daemon: ApiClient,
  home: Home,
): Promise<void> {
  const options = optionsOf<AdmitOptions>(command);
  const { genesis } = home;
  if (options.orderFile !== undefined)
    throw new CommandError(
      'usage',
      'founding takes no --order-file: all operators whom it needs sign it here, each with --operator FILE',
    );
  checkEnoughOperators(home, options, '; all of them here, for founding takes no --order-file');
  const newcomers = await waitingPeers(daemon, home, names);
  const self = ownMember(home);
  const count = newcomers.length + 1;
  if (count < genesis.threshold)
    throw new CommandError(
      'refused',
      `${count} peers cannot found a cluster that needs ${genesis.threshold} of them; start more peers and admit all at once`,
    );
  if (count > genesis.membersMax)
    throw new CommandError(
      'refused',
      `${count} peers are over the cluster’s maximum of ${genesis.membersMax}`,
    );
  const taken = [self, ...newcomers].map(({ name }) => name);
  const twice = taken.find((name, at) => taken.indexOf(name) !== at);
  if (twice !== undefined)
    throw new CommandError(
      'refused',
      `two peers are named ${twice}; one of them must join under another name`,
    );
  await confirmAll(newcomers, home, options.yes);
  await confirmSpare(spareOfFounding(count, genesis), options.yes !== undefined, instead);
  const roster = [self, ...newcomers].map((member, at) => ({ index: at + 1, ...member }));
  const value = foundingValue(genesis, roster, []);
  const keys = await openOperators(home, options);
  const operators = signAsOperators(home, keys, hashOfValue(value));
  wipe(keys);
  const missing = await foundWith(daemon, foundingLink(value, operators));
  const choice = explainChoice(count, genesis.threshold, genesis.faultModel);
  if (options.json) sayJson({ epoch: 0, members: taken, missing, choice });
  else say(`epoch 0: the cluster is founded by ${taken.join(', ')}\n${choice}`);
  if (missing.length > 0)
    warn(
      `${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not up as a member yet: holdfast status says why there, and the daemon tries again by itself`,
    );
  const left = await leftWaiting(daemon);
  if (left.length > 0)
    progress(
      `${left.join(', ')} also ${left.length === 1 ? 'waits' : 'wait'}: holdfast admit ${left.join(' ')}`,
    );
  progress('next: a key and its first client, with: holdfast key create NAME --use sign --client NAME');
}

/** Names that wait in the lobby and were not admitted. */
const leftWaiting = async (daemon: ApiClient): Promise<string[]> => [
  ...new Set(
    (await daemon.peers()).filter(({ state, self }) => state === 'waiting' && !self).map(({ name }) => name),
  ),
];

/**
 * Hands the founding in. Gives the founders that have not connected afterwards. An error without an answer
 * says what is known.
 */
async function foundWith(daemon: ApiClient, link: Link): Promise<string[]> {
  let founded = false;
  try {
    await daemon.found(link);
    founded = true;
    return await missingFounders(daemon);
  } catch (error) {
    const explained = explain(error);
    if (explained === null || !(founded || (error instanceof ApiError && error.unanswered))) throw error;
    const known = founded ? 'the cluster is founded' : 'the founding was handed in and may have taken effect';
    throw new CommandError(explained.outcome, `${explained.line}; ${known}: holdfast status shows it`);
  }
}

/** The founders that have not connected as members after `foundersPatienceMs`. */
async function missingFounders(daemon: ApiClient): Promise<string[]> {
  const missing = async (): Promise<string[]> =>
    (await daemon.peers())
      .filter(({ state, self, connected }) => state === 'member' && !self && !connected)
      .map(({ name }) => name);
  const everybody = async () => ((await missing()).length === 0 ? true : null);
  const signal = AbortSignal.timeout(foundersPatienceMs);
  await daemon.until(everybody, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
  return missing();
}

/** This peer itself, from its own home. Nobody needs to confirm it. */
function ownMember(home: Home): Newcomer {
  const seed = home.readFirstEpochSeed();
  if (seed === null)
    throw new CommandError('refused', 'this peer was admitted before; it cannot found the cluster again');
  const { publicKey: epochKey } = ed25519FromSeed(seed);
  seed.fill(0);
  return { name: home.readSettings().name, peer: peerIdOf(identityFromBytes(home.readIdentity())), epochKey };
}
