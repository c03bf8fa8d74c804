/**
 * Both sides of the lobby (protocol §4, "Beginning"). A newcomer asks again and again with a signed request.
 * A member lists the newcomers that ask, and gives the founding value to those that the operator admitted.
 */
import { ed25519FromSeed, sign, verify } from '../../crypto/signature.ts';
import {
  type Admission,
  type AdmissionBody,
  admissionSchema,
  digestOfAdmission,
  fingerprintOf,
  type Invitation,
  type LobbyAnswer,
  lobbyAnswers,
} from '../../protocol/records/admission.ts';
import { decode, encode, sameBytes } from '../../protocol/records/codec.ts';
import { isOfOtherVersion } from '../../protocol/records/errors.ts';
import { clusterIdOf, type Genesis } from '../../protocol/records/genesis.ts';
import type { Member } from '../../protocol/records/roster.ts';
import { type Clock, pause } from '../clock.ts';
import { type Identity, peerIdOf, signAsIdentity, verifyIdentity } from '../home/identity.ts';
import type { Log } from '../log.ts';
import { LobbyServer, lobbyLimits, lobbyRequest } from './lobby-transport.ts';

const waitingMax = 64;
/** A newcomer that has not asked for so long counts as gone. Milliseconds. */
const waitingForMs = 60_000;
const askEveryMs = 1_000;
const askTimeoutMs = 8_000;

/**
 * A newcomer that waits: its request, the fingerprint that people compare, and the monotonic time of its last
 * request in milliseconds.
 */
export interface Waiting {
  body: AdmissionBody;
  fingerprint: string;
  atMs: number;
}

/** Everything that a newcomer starts from: see `LobbyAnswer`. */
export type HandOut = Omit<Extract<LobbyAnswer, { status: 'admitted' }>, 'status' | 'genesis'>;

interface LobbyAdmissionsOptions {
  genesis: Genesis;
  identity: Identity;
  listen: readonly string[];
  clock: Clock;
  log: Log;
  /** The newest roster, and the hand-out for an admitted peer. Null before epoch 0. */
  admitted: () => {
    roster: readonly Member[];
    epoch: number;
    handOut: (peer: string) => Promise<HandOut | null>;
    /**
     * Whether a newcomer may wait under this member's name, to take its place: the member is suspended, or
     * away.
     */
    isVacant: (member: Member) => boolean;
  } | null;
  onChange: () => void;
}

/** A member's open lobby. */
export class LobbyAdmissions {
  readonly #options: LobbyAdmissionsOptions;
  readonly #server: LobbyServer;
  readonly #clusterId: Uint8Array;
  readonly #waiting = new Map<string, Waiting>();
  #cancelClose: (() => void) | null = null;
  /** The latest end among the openings, in monotonic milliseconds. */
  #endsAtMs = 0;
  #openUntilFounded = false;

  constructor(options: LobbyAdmissionsOptions) {
    this.#options = options;
    this.#clusterId = clusterIdOf(options.genesis);
    this.#server = new LobbyServer({
      identity: options.identity,
      listen: options.listen,
      log: options.log,
      handler: async (peer, request) => lobbyAnswers.encode(await this.#answer(peer, request)),
    });
  }

  /**
   * Opens the lobby for `forMs` milliseconds, and then it closes by itself. When an earlier opening lasts
   * longer, that one's end counts. With null it stays open until the cluster is founded, and the founding
   * opens it again.
   * @throws ListenError (as a rejection)
   */
  async open(forMs: number | null): Promise<void> {
    const { clock, admitted } = this.#options;
    const now = clock.nowMs();
    this.#endsAtMs = Math.max(this.#endsAtMs, now + (forMs ?? 0));
    this.#openUntilFounded = forMs === null || (this.#openUntilFounded && admitted() === null);
    // The timer is set first. So a close that comes during the opening leaves no timer behind.
    this.#cancelClose?.();
    this.#cancelClose = this.#openUntilFounded
      ? null
      : clock.schedule(this.#endsAtMs - now, () => void this.close());
    await this.#server.start();
  }

  async close(): Promise<void> {
    this.#cancelClose?.();
    this.#cancelClose = null;
    this.#endsAtMs = 0;
    this.#openUntilFounded = false;
    await this.#server.stop();
  }

  /** The lobby's multiaddrs. Empty while the lobby is closed. */
  addresses(): string[] {
    return this.#server.addresses();
  }

  /** The peers that have asked lately and are no members, sorted by name. */
  waiting(): Waiting[] {
    const since = this.#options.clock.nowMs() - waitingForMs;
    const members = new Set(this.#options.admitted()?.roster.map(({ peer }) => peer));
    for (const [peer, { atMs }] of this.#waiting)
      if (atMs < since || members.has(peer)) this.#waiting.delete(peer);
    return [...this.#waiting.values()].sort((a, b) => (a.body.name < b.body.name ? -1 : 1));
  }

  async #answer(peer: string, bytes: Uint8Array): Promise<LobbyAnswer> {
    const refused = (reason: string): LobbyAnswer => ({ status: 'refused', reason });
    let admission: Admission;
    try {
      admission = decode(admissionSchema, bytes, lobbyLimits.requestBytesMax);
    } catch (error) {
      if (isOfOtherVersion(error)) return refused(error.message);
      throw error;
    }
    const { body } = admission;
    if (!sameBytes(body.cluster, this.#clusterId)) return refused('this lobby belongs to another cluster');
    if (body.peer !== peer || !isSigned(admission))
      return refused('the request is not signed by the peer that asks');
    const admitted = this.#options.admitted();
    if (admitted?.roster.some((member) => member.peer === peer)) {
      // A member that is evicted later must not be offered for admission because of its old request.
      this.#waiting.delete(peer);
      const handOut = await admitted.handOut(peer);
      if (handOut === null)
        return refused('the admission is too old; let the operator admit this peer again');
      return { status: 'admitted', genesis: this.#options.genesis, ...handOut };
    }
    const holder = admitted?.roster.find((member) => member.name === body.name);
    if (holder !== undefined && admitted?.isVacant(holder) !== true) {
      this.#waiting.delete(peer);
      return refused(
        `the name ${body.name} is that of a member which is here; stop that one first, or join under another name`,
      );
    }
    if (this.waiting().some((other) => other.body.name === body.name && other.body.peer !== peer))
      return refused(`another peer named ${body.name} waits already; join under another name`);
    if (!this.#waiting.has(peer) && this.#waiting.size >= waitingMax)
      return refused('too many peers wait already');
    const known = this.#waiting.get(peer);
    const fingerprint = fingerprintOf(body);
    this.#waiting.set(peer, { body, fingerprint, atMs: this.#options.clock.nowMs() });
    if (known?.fingerprint !== fingerprint) {
      this.#options.log.info({ peer, name: body.name, fingerprint }, 'a peer waits for admission');
      this.#options.onChange();
    }
    return { status: 'waiting', fingerprint, epoch: admitted?.epoch ?? null };
  }
}

function isSigned({ body, identitySignature, epochSignature }: Admission): boolean {
  const digest = digestOfAdmission(body);
  return (
    verifyIdentity(body.peer, digest, identitySignature) && verify(body.epochKey, digest, epochSignature)
  );
}

/** This peer's request for admission, signed by its identity and by its first epoch key. */
export function admissionOf(options: {
  cluster: Uint8Array;
  name: string;
  identity: Identity;
  epochSeed: Uint8Array;
  addresses: string[];
}): Admission {
  const { cluster, name, identity, epochSeed, addresses } = options;
  const body: AdmissionBody = {
    v: 1,
    cluster,
    name,
    peer: peerIdOf(identity),
    epochKey: ed25519FromSeed(epochSeed).publicKey,
    addresses,
  };
  const digest = digestOfAdmission(body);
  return {
    body,
    identitySignature: signAsIdentity(identity, digest),
    epochSignature: sign(epochSeed, digest),
  };
}

/**
 * Asks the invitation's lobby until it admits this peer. The promise gives the answer, or null when `signal`
 * aborts. The answer is not trusted: the caller checks its links from the pinned genesis.
 */
export async function waitInLobby(options: {
  invitation: Invitation;
  admission: Admission;
  identity: Identity;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
  onAnswer: (answer: LobbyAnswer | null) => void;
}): Promise<Extract<LobbyAnswer, { status: 'admitted' }> | null> {
  const { invitation, admission, identity, clock, log, signal, onAnswer } = options;
  let last = '';
  while (!signal.aborted) {
    let answer: LobbyAnswer | null = null;
    try {
      const limit = AbortSignal.any([signal, AbortSignal.timeout(askTimeoutMs)]);
      const bytes = await lobbyRequest({
        identity,
        addresses: invitation.lobby,
        request: encode(admission),
        signal: limit,
      });
      answer = lobbyAnswers.decode(bytes, lobbyLimits.responseBytesMax);
    } catch (error) {
      if (isOfOtherVersion(error)) answer = { status: 'refused', reason: error.message };
      else log.debug({ err: error }, 'the lobby did not answer');
    }
    const now = answer === null ? 'silent' : answer.status === 'refused' ? answer.reason : answer.status;
    if (now !== last)
      log.info(
        {
          state: answer?.status ?? 'silent',
          ...(answer?.status === 'refused' ? { reason: answer.reason } : {}),
        },
        'the lobby',
      );
    last = now;
    onAnswer(answer);
    if (answer?.status === 'admitted') return answer;
    await pause(clock, askEveryMs, signal);
  }
  return null;
}
