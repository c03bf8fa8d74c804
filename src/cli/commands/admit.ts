import { join } from 'node:path';
import { Command } from 'commander';
import type { ApiClient } from '../../api/client.ts';
import { ed25519FromSeed } from '../../crypto/signature.ts';
import type { Home } from '../../node/home.ts';
import { identityFromBytes, peerIdOf } from '../../node/network/identity.ts';
import type { PeerView } from '../../node/view.ts';
import { fingerprintOf } from '../../protocol/admission.ts';
import { fromHex } from '../../protocol/codec.ts';
import { foundingLink, foundingValue } from '../../protocol/create.ts';
import { explainChoice, type Member } from '../../protocol/roster.ts';
import { type Client, hashOfValue } from '../../protocol/value.ts';
import { optionsOf, withDaemon } from '../context.ts';
import { openClientFile } from '../key-files.ts';
import {
  type OperatorOptions,
  openOperators,
  runOrders,
  signAsOperators,
  wipe,
  withOrder,
} from '../orders.ts';
import { CommandError, confirm, progress, say, sayJson } from '../terminal.ts';

interface AdmitOptions extends OperatorOptions {
  yes?: string[];
}

export const admitCommand = (): Command =>
  withOrder(new Command('admit'))
    .description('admit peers that wait in the lobby; the first time, this founds the cluster')
    .argument('[names...]', 'who is admitted (while founding also: everybody who waits)')
    .option('--yes <fingerprints...>', 'these fingerprints are right: for scripts, which cannot be asked')
    .action(async (names: string[], _, command: Command) => {
      const founding = await withDaemon(command, async (daemon) => (await daemon.status()).epoch === null);
      if (founding) await withDaemon(command, (daemon, home) => found(command, names, daemon, home));
      else await admit(command, names);
    });

/** A later admission: one order for each newcomer. */
async function admit(command: Command, names: readonly string[]): Promise<void> {
  const { yes } = optionsOf<AdmitOptions>(command);
  if (names.length === 0)
    throw new CommandError('usage', 'name who is to be admitted; holdfast peers shows who waits');
  await runOrders(
    command,
    async (head, daemon, home) => {
      for (const name of names)
        if (head.roster.some((member) => member.name === name))
          throw new CommandError(
            'refused',
            `a member named ${name} exists already; the newcomer must join under another name`,
          );
      const newcomers = await waiting(daemon, home, names);
      await confirmAll(newcomers, home, yes);
      return newcomers.map(({ name, peer, epochKey }) => ({ type: 'admit', name, peer, epochKey }));
    },
    (value, home) =>
      `${names.join(', ')} admitted; ${explainChoice(value.roster.length, value.threshold, home.genesis.faultModel)}`,
  );
}

/** Epoch 0: the roster of this peer and the named ones, signed by the operators (§4 "Beginning"). */
async function found(
  command: Command,
  names: readonly string[],
  daemon: ApiClient,
  home: Home,
): Promise<void> {
  const options = optionsOf<AdmitOptions>(command);
  const { genesis } = home;
  const newcomers = await waiting(daemon, home, names);
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
  const client = openClientFile(join(home.clientsDir, 'operator.key'));
  client.seed.fill(0);
  const roster = [self, ...newcomers].map((member, at) => ({ index: at + 1, ...member }));
  const rights: Client['rights'] = [{ key: '*', operations: ['sign', 'decrypt'] }];
  const listed: Client = { name: 'operator', publicKey: client.publicKey, rights, ratePerMinute: 0 };
  const value = foundingValue(genesis, roster, [listed]);
  const keys = await openOperators(home, options);
  const operators = signAsOperators(home, keys, hashOfValue(value));
  wipe(keys);
  if (operators.length < genesis.operatorsNeeded)
    throw new CommandError(
      'usage',
      `founding needs ${genesis.operatorsNeeded} operator keys at once; repeat --operator FILE`,
    );
  await daemon.found(foundingLink(value, operators));
  const choice = explainChoice(count, genesis.threshold, genesis.faultModel);
  if (options.json) sayJson({ epoch: 0, members: taken, choice });
  else say(`epoch 0: the cluster is founded by ${taken.join(', ')}\n${choice}`);
}

type NewMember = Omit<Member, 'index'>;

/** This peer itself, from its own home: nobody needs to confirm it. */
function ownMember(home: Home): NewMember {
  const seed = home.readFirstEpochSeed();
  if (seed === null)
    throw new CommandError('refused', 'this peer was admitted before; it cannot found the cluster again');
  const { publicKey: epochKey } = ed25519FromSeed(seed);
  seed.fill(0);
  return { name: home.readSettings().name, peer: peerIdOf(identityFromBytes(home.readIdentity())), epochKey };
}

/** The newcomers of these names (all, for none), each with the epoch key that its fingerprint really covers. */
async function waiting(daemon: ApiClient, home: Home, names: readonly string[]): Promise<NewMember[]> {
  const present = (await daemon.peers()).filter((peer) => peer.state === 'waiting' && !peer.self);
  if (names.length === 0) return present.map((peer) => checkedMember(peer, home));
  return names.map((name) => {
    const found = present.filter((peer) => peer.name === name);
    if (found.length === 0)
      throw new CommandError(
        'refused',
        `nobody named ${name} waits in the lobby; holdfast peers shows who does`,
      );
    if (found.length > 1)
      throw new CommandError(
        'refused',
        `${found.length} peers named ${name} wait; all but one must join under another name`,
      );
    return checkedMember(found[0] as PeerView, home);
  });
}

function checkedMember(peer: PeerView, home: Home): NewMember {
  const epochKey = fromHex(peer.epochKey);
  const fingerprint = fingerprintOf({ cluster: home.cluster, peer: peer.peer, epochKey });
  if (peer.fingerprint !== null && peer.fingerprint !== fingerprint)
    throw new CommandError(
      'refused',
      `the daemon shows a false fingerprint for ${peer.name}; do not trust it`,
    );
  return { name: peer.name, peer: peer.peer, epochKey };
}

/** Every fingerprint is compared by a person, or was by the one who wrote the script. */
async function confirmAll(
  newcomers: readonly NewMember[],
  home: Home,
  yes: readonly string[] | undefined,
): Promise<void> {
  for (const { name, ...member } of newcomers) {
    const fingerprint = fingerprintOf({ cluster: home.cluster, ...member });
    if (yes !== undefined) {
      if (!yes.includes(fingerprint))
        throw new CommandError(
          'refused',
          `${name} has the fingerprint ${fingerprint}, which is none of those given; nobody was admitted`,
        );
      continue;
    }
    progress(`${name}  ${fingerprint}`);
    if (!(await confirm(`does ${name} show this fingerprint?`, 'give --yes FINGERPRINT…')))
      throw new CommandError('refused', `${name} was not confirmed; nobody was admitted`);
  }
}
