/**
 * The views of peers that wait for admission (protocol §4, "Beginning"): this peer before it is a member, and
 * others.
 */
import { ed25519FromSeed } from '../../crypto/signature.ts';
import { fingerprintOf } from '../../protocol/records/admission.ts';
import { hex } from '../../protocol/records/codec.ts';
import type { Home } from '../home/home.ts';
import type { Waiting } from '../lobby/lobby-admissions.ts';
import type { Settings } from '../settings.ts';
import type { PeerView, Problem, StatusView } from './view.ts';

/** This peer while it waits. It has a first epoch key and no state yet. `epochSeed` is secret. */
export interface WaitingSelf {
  home: Home;
  settings: Settings;
  peer: string;
  epochSeed: Uint8Array;
  addresses: string[];
}

const epochKeyOf = ({ epochSeed }: WaitingSelf): Uint8Array => ed25519FromSeed(epochSeed).publicKey;

const ownFingerprint = (self: WaitingSelf): string =>
  fingerprintOf({ cluster: self.home.cluster, peer: self.peer, epochKey: epochKeyOf(self) });

/**
 * The problem of a peer that waits. A founder waits for other peers. Every other peer waits for the operator,
 * and `lobby` is the lobby's last answer.
 */
export function waitingProblem(options: {
  founder: boolean;
  waiting: number;
  threshold: number;
  lobby: string;
}): Problem {
  const { founder, waiting, threshold, lobby } = options;
  return founder
    ? {
        code: 'waiting-for-admission',
        what: `The cluster is not founded yet: ${waiting} of at least ${threshold} peers wait.`,
        remedy: 'Let the others join, then run `holdfast admit`.',
      }
    : {
        code: 'waiting-for-admission',
        what: `This peer waits for admission (${lobby}).`,
        remedy: remedies[lobby] ?? otherRemedy(lobby),
      };
}

/** The text before the reason why an admitted peer is no member yet. */
export const cannotBegin = 'admitted, but it cannot begin: ';

/** By the lobby's answer. Any other answer is the reason of a refusal. */
const remedies: Readonly<Record<string, string>> = {
  asking: 'Nothing to do: it asks the lobby.',
  waiting: 'Let the operator compare the fingerprint and admit it.',
  silent: 'Let the operator open the lobby (holdfast invite) and give out that invitation if it is another.',
};

const otherRemedy = (lobby: string): string =>
  lobby.startsWith(cannotBegin)
    ? 'Mend that: it tries again by itself.'
    : 'Nobody can admit it like this: it is refused for what stands there.';

/** The status of this peer while it waits. */
export function waitingStatusView(self: WaitingSelf, problem: Problem): StatusView {
  const { genesis, cluster } = self.home;
  return {
    name: self.settings.name,
    peer: self.peer,
    cluster: hex(cluster),
    clusterName: genesis.name,
    state: 'waiting-for-admission',
    index: null,
    fingerprint: ownFingerprint(self),
    cipher: self.settings.cipher,
    gate: self.settings.gate,
    epoch: null,
    threshold: genesis.threshold,
    members: 0,
    faults: 0,
    quorum: 0,
    faultModel: genesis.faultModel,
    choice: null,
    keys: 0,
    shareEpochs: [],
    leftovers: [],
    holders: [],
    connected: [],
    roster: [],
    prospects: null,
    lastChangeAtMs: null,
    nextRefreshAtMs: null,
    change: null,
    pauses: [],
    problems: [problem],
    warnings: [],
  };
}

/** This peer in the list of peers, while it waits. */
export const waitingSelfView = (self: WaitingSelf): PeerView => ({
  name: self.settings.name,
  peer: self.peer,
  epochKey: hex(epochKeyOf(self)),
  state: 'waiting',
  index: null,
  connected: true,
  authenticated: true,
  self: true,
  fingerprint: ownFingerprint(self),
  addresses: self.addresses,
  ability: null,
});

/**
 * Another peer that waits in this peer's lobby. Its identity and first epoch key are proven, and nothing else
 * is.
 */
export const waitingPeerView = ({ body, fingerprint }: Waiting): PeerView => ({
  name: body.name,
  peer: body.peer,
  epochKey: hex(body.epochKey),
  state: 'waiting',
  index: null,
  connected: false,
  authenticated: false,
  self: false,
  fingerprint,
  addresses: body.addresses,
  ability: null,
});
