/**
 * A peer that is not a member yet (protocol §4 "Beginning"): it founds the cluster with the operators' epoch
 * 0, or waits in the lobby and joins a group that runs. What it starts from is checked from the pinned
 * genesis.
 */
import { ed25519FromSeed } from '../../crypto/signature.ts';
import { foundDurable, joinDurable } from '../../protocol/machine/create.ts';
import type { Durable } from '../../protocol/machine/state.ts';
import type { Admission } from '../../protocol/records/admission.ts';
import { encode, sameBytes } from '../../protocol/records/codec.ts';
import { ProtocolError } from '../../protocol/records/errors.ts';
import type { Link } from '../../protocol/records/link.ts';
import type { Order } from '../../protocol/records/order.ts';
import { reachableAddresses } from '../addresses.ts';
import { pause, systemClock } from '../clock.ts';
import { DaemonError } from '../errors.ts';
import { type Home, HomeError, replacePrivateFile } from '../home/home.ts';
import { type Identity, identityFromBytes, peerIdOf } from '../home/identity.ts';
import { admissionOf, type HandOut, waitInLobby } from '../lobby/lobby-admissions.ts';
import type { Log } from '../log.ts';
import type { MemberAddress } from '../network/transport.ts';
import type { Settings } from '../settings.ts';
import { StoreError } from '../store/store-error.ts';
import type { PeerView, StatusView } from '../views/view.ts';
import {
  cannotBegin,
  type WaitingSelf,
  waitingProblem,
  waitingSelfView,
  waitingStatusView,
} from '../views/waiting-views.ts';

interface NewcomerOptions {
  home: Home;
  settings: Settings;
  log: Log;
  identity: Identity;
  /** Makes the peer a member with this state, which was never stored, and where the others are known to listen. */
  become: (durable: Durable, addresses: MemberAddress[]) => Promise<void>;
  onChange: () => void;
  /** The home, the store or the network failed. */
  onFailure: (error: Error) => void;
}

/** How long a peer that could not begin as a member waits before it asks the lobby again. */
const beginAgainMs = 2_000;

export class Newcomer {
  readonly #options: NewcomerOptions;
  readonly #peer: string;
  #lobbyState = 'asking';

  constructor(options: NewcomerOptions) {
    this.#options = options;
    this.#peer = peerIdOf(options.identity);
  }

  /** The invitation of a founder names its own lobby. */
  get isFounder(): boolean {
    const { home } = this.#options;
    const lobbyPeer = peerIdOf(identityFromBytes(home.readLobbyIdentity()));
    return home.invitation.lobby.some((address) => address.endsWith(`/p2p/${lobbyPeer}`));
  }

  /**
   * What this peer asks for in the lobby. Throws `DaemonError` or `HomeError` when its first epoch key cannot
   * be read.
   */
  admission(): Admission {
    const { home, settings, identity } = this.#options;
    return admissionOf({
      cluster: home.cluster,
      name: settings.name,
      identity,
      epochSeed: this.#epochSeed(),
      addresses: this.#ownAddresses(),
    });
  }

  /**
   * Waits in the lobby of the invitation until the peer is a member, or `signal` aborts. What it is handed
   * and cannot begin with is told and asked for again: a chain that is not true, or a machine that does not
   * let it begin.
   */
  async wait(admission: Admission, signal: AbortSignal): Promise<void> {
    const { home, identity, log } = this.#options;
    while (!signal.aborted) {
      const answer = await waitInLobby({
        ...{ invitation: home.invitation, admission, identity, clock: systemClock, log, signal },
        onAnswer: (heard) => {
          // Told when it has begun: while it cannot begin, why it cannot stays.
          if (heard?.status === 'admitted') return;
          this.#show(heard === null ? 'silent' : heard.status === 'refused' ? heard.reason : heard.status);
        },
      });
      if (answer === null || (await this.#begin(answer))) return;
      await pause(systemClock, beginAgainMs, signal);
    }
  }

  #show(state: string): void {
    if (state === this.#lobbyState) return;
    this.#lobbyState = state;
    this.#options.onChange();
  }

  /** Becomes a member with what the lobby handed out, and says whether it did. */
  async #begin({ order, links, addresses }: HandOut): Promise<boolean> {
    const { log, onFailure } = this.#options;
    try {
      if (order === null) await this.found(links[0] as Link, addresses);
      else await this.#join(order, links, addresses);
      return true;
    } catch (error) {
      if (error instanceof StoreError || error instanceof HomeError) {
        onFailure(error);
        return true;
      }
      const untrue = error instanceof ProtocolError || error instanceof DaemonError;
      const why = untrue ? 'the lobby sent a chain that is not true' : (error as Error).message;
      if (`${cannotBegin}${why}` !== this.#lobbyState) log.error({ err: error }, 'this peer cannot begin');
      this.#show(`${cannotBegin}${why}`);
      return false;
    }
  }

  /** Throws `DaemonError('refused')` when epoch 0 does not list this peer, and `ProtocolError` when it is not true. */
  async found(link: Link, addresses: MemberAddress[]): Promise<void> {
    const seed = this.#epochSeed();
    const { publicKey } = ed25519FromSeed(seed);
    const durable = foundDurable(this.#options.home.genesis, link, { publicKey, seed }, systemClock.wallMs());
    const self = link.value.roster.find((member) => member.peer === this.#peer);
    if (self === undefined || !sameBytes(self.epochKey, publicKey))
      throw new DaemonError('refused', 'the roster does not list this peer with its first epoch key');
    await this.#options.become(durable, addresses);
  }

  /** Admitted while the group runs: the share comes by recovery, by itself. */
  async #join(order: Order, links: Link[], addresses: MemberAddress[]): Promise<void> {
    const { home, become } = this.#options;
    const seed = this.#epochSeed();
    const { publicKey } = ed25519FromSeed(seed);
    const durable = joinDurable({
      genesis: home.genesis,
      peer: this.#peer,
      order,
      links,
      epochKey: { publicKey, seed },
      wallMs: systemClock.wallMs(),
    });
    replacePrivateFile(home.admissionFile, encode(order));
    await become(durable, addresses);
  }

  /** @param others how many wait in this peer's own lobby */
  status(others: number): StatusView {
    const problem = waitingProblem({
      founder: this.isFounder,
      waiting: others + 1,
      threshold: this.#options.home.genesis.threshold,
      lobby: this.#lobbyState,
    });
    return waitingStatusView(this.#self(), problem);
  }

  view(): PeerView {
    return waitingSelfView(this.#self());
  }

  #self(): WaitingSelf {
    const { home, settings } = this.#options;
    return {
      ...{ home, settings, peer: this.#peer },
      epochSeed: this.#epochSeed(),
      addresses: this.#ownAddresses(),
    };
  }

  #epochSeed(): Uint8Array {
    const seed = this.#options.home.readFirstEpochSeed();
    if (seed === null)
      throw new DaemonError('refused', 'this home has no first epoch key; join again with a new home');
    return seed;
  }

  #ownAddresses(): string[] {
    const { listen, announce } = this.#options.settings;
    return reachableAddresses(listen, announce, this.#peer);
  }
}
