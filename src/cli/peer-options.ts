/** The options with which `cluster init` and `join` describe a new peer, and the home that they make. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { type Command, Option } from 'commander';
import { parse } from 'yaml';
import { cipherNames } from '../cipher/local-cipher.ts';
import { ed25519FromSeed } from '../crypto/signature.ts';
import { reachableAddresses } from '../node/addresses.ts';
import { createHome, type Home } from '../node/home/home.ts';
import { identityFromSeed, identityToBytes, peerIdOf } from '../node/home/identity.ts';
import { HeldPorts } from '../node/network/held-ports.ts';
import { parseSettings, type Settings, SettingsError, settingsText } from '../node/settings.ts';
import { fingerprintOf, type Invitation } from '../protocol/records/admission.ts';
import { clusterIdOf } from '../protocol/records/genesis.ts';
import { collect } from './context.ts';
import { CommandError } from './terminal.ts';

/** The options as they were given; all texts are still unchecked. */
export interface PeerOptions {
  cipher?: string;
  gate?: string;
  listen?: string[];
  announce?: string[];
  lobbyListen?: string[];
  lobbyAddress?: string[];
  bootstrap?: string[];
  mdns?: 'on' | 'off';
  set?: string[];
}

/** Adds the options for the settings of a new peer. */
export const withPeerOptions = (command: Command): Command =>
  command
    .option('--cipher <name>', `local cipher: ${cipherNames.join(', ')} (default: aes)`)
    .option('--gate <fraction>', 'how often to leave dealing to others, from 0 to below 1')
    .option('--listen <address>', 'where to listen for members (repeat for several)', collect)
    .option('--announce <address>', 'where members reach this peer, if not at its interfaces', collect)
    .option('--lobby-listen <address>', 'where to listen for newcomers', collect)
    .option('--lobby-address <address>', 'where newcomers reach the lobby, if not at the interfaces', collect)
    .option('--bootstrap <address>', 'a member to try first, with /p2p/<peer id>', collect)
    .addOption(
      new Option('--mdns <state>', 'find members on this network by multicast DNS').choices(['on', 'off']),
    )
    .option('--set <name=value>', 'any other setting (repeat for several)', collect);

/** A name from the machine's host name, in the form that names have; `peer` when nothing is left of it. */
export const defaultPeerName = (): string =>
  hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 63) || 'peer';

/**
 * The settings that the options describe, checked. Free ports take the place of port 0, because an invitation
 * names ports that stay.
 * @throws CommandError `usage` for settings that no peer can have, ListenError for an address that this
 * machine does not have
 */
async function settingsOf(name: string, options: PeerOptions): Promise<Settings> {
  const given: Record<string, unknown> = { name };
  for (const option of ['cipher', 'listen', 'announce', 'lobbyListen', 'bootstrap'] as const)
    if (options[option] !== undefined) given[option] = options[option];
  if (options.gate !== undefined) given.gate = Number(options.gate);
  if (options.mdns !== undefined) given.mdns = options.mdns === 'on';
  if (options.lobbyAddress !== undefined) given.lobbyAnnounce = options.lobbyAddress;
  for (const assignment of options.set ?? []) {
    const at = assignment.indexOf('=');
    if (at < 1) throw new CommandError('usage', `--set ${assignment} is not of the form name=value`);
    given[assignment.slice(0, at)] = parse(assignment.slice(at + 1));
  }
  const settings = checkedSettings(given);
  const ports = await HeldPorts.take('this peer', [...settings.listen, ...settings.lobbyListen]);
  await ports.release();
  return {
    ...settings,
    listen: ports.addresses.slice(0, settings.listen.length),
    lobbyListen: ports.addresses.slice(settings.listen.length),
  };
}

function checkedSettings(given: Record<string, unknown>): Settings {
  try {
    return parseSettings(JSON.stringify(given), null);
  } catch (error) {
    if (error instanceof SettingsError) throw new CommandError('usage', error.message);
    throw error;
  }
}

interface NewPeer {
  home: Home;
  peer: string;
  fingerprint: string;
}

/**
 * Makes a peer's home with fresh keys. `invitationFor` gets the addresses of the new peer's own lobby.
 * @throws CommandError, ListenError, HomeError
 */
export async function createPeer(options: {
  dir: string;
  name: string;
  settings: PeerOptions;
  invitationFor: (ownLobby: string[]) => Invitation;
}): Promise<NewPeer> {
  const settings = await settingsOf(options.name, options.settings);
  const identity = await identityFromSeed(new Uint8Array(randomBytes(32)));
  const lobbyIdentity = await identityFromSeed(new Uint8Array(randomBytes(32)));
  const firstEpochSeed = new Uint8Array(randomBytes(32));
  const { lobbyListen, lobbyAnnounce } = settings;
  const invitation = options.invitationFor(
    reachableAddresses(lobbyListen, lobbyAnnounce, peerIdOf(lobbyIdentity)),
  );
  const home = createHome(options.dir, {
    settings: settingsText(settings),
    invitation,
    identity: identityToBytes(identity),
    lobbyIdentity: identityToBytes(lobbyIdentity),
    firstEpochSeed,
  });
  const peer = peerIdOf(identity);
  const { publicKey: epochKey } = ed25519FromSeed(firstEpochSeed);
  firstEpochSeed.fill(0);
  return {
    home,
    peer,
    fingerprint: fingerprintOf({ cluster: clusterIdOf(invitation.genesis), peer, epochKey }),
  };
}
