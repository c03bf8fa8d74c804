/**
 * A peer that is no member yet (protocol §4, "Beginning"). It founds the cluster with the operators' epoch 0,
 * or it waits in the lobby and joins a running group. It checks from its pinned genesis everything that it
 * starts from.
 */
import { ed25519FromSeed } from '../../crypto/signature.ts';
import { foundDurable, joinDurable } from '../../protocol/machine/create.ts';
import type { Durable } from '../../protocol/machine/durable-state.ts';
import type { Admission } from '../../protocol/records/admission.ts';
import { encode, sameBytes } from '../../protocol/records/codec.ts';
import { isOfOtherVersion, ProtocolError } from '../../protocol/records/errors.ts';
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
  /**
   * Makes this peer a member. The state was never stored. `addresses` are the known addresses of the other
   * members.
   */
  become: (durable: Durable, addresses: MemberAddress[]) => Promise<void>;
  onChange: () => void;
  /** The home or the store failed. */
  onFailure: (error: Error) => void;
}

/** A peer that could not begin as a member waits so long before it asks the lobby again. */
const beginAgainMs = 2_000;

/** The peer until it is a member. */
export class Newcomer {
  readonly #options: NewcomerOptions;
  readonly #peer: string;
  #lobbyState = 'asking';

  constructor(options: NewcomerOptions) {
    this.#options = options;
    this.#peer = peerIdOf(options.identity);
  }

  /** Whether this peer founds the cluster: a founder's invitation names the founder's own lobby. */
  get isFounder(): boolean {
    const { home } = this.#options;
    const lobbyPeer = peerIdOf(identityFromBytes(home.readLobbyIdentity()));
    return home.invitation.lobby.some((address) => address.endsWith(`/p2p/${lobbyPeer}`));
  }

  /**
   * The request of this peer for the lobby.
   * @throws DaemonError, HomeError when the first epoch key cannot be read
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
   * Waits in the invitation's lobby until this peer is a member, or until `signal` aborts. The lobby's chain
   * may be false, or this machine may not let the peer begin. Then the peer shows that and asks again.
   */
  async wait(admission: Admission, signal: AbortSignal): Promise<void> {
    const { home, identity, log } = this.#options;
    while (!signal.aborted) {
      const answer = await waitInLobby({
        ...{ invitation: home.invitation, admission, identity, clock: systemClock, log, signal },
        onAnswer: (heard) => {
          // The state "admitted" is not shown. While this peer cannot begin, the reason for that must stay.
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

  /** Becomes a member with the lobby's hand-out. False when that failed and is to be tried again. */
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
      const isNewer = isOfOtherVersion(error);
      const untrue = !isNewer && (error instanceof ProtocolError || error instanceof DaemonError);
      const why = untrue ? 'the lobby sent a chain that is not true' : (error as Error).message;
      if (`${cannotBegin}${why}` !== this.#lobbyState) log.error({ err: error }, 'this peer cannot begin');
      this.#show(`${cannotBegin}${why}`);
      return false;
    }
  }

  /**
   * Founds the cluster with epoch 0.
   * @throws DaemonError (as a rejection) `refused` when epoch 0 does not list this peer with its first epoch
   * key
   * @throws ProtocolError (as a rejection) when the value or its certificate is false
   */
  async found(link: Link, addresses: MemberAddress[]): Promise<void> {
    const seed = this.#epochSeed();
    const { publicKey } = ed25519FromSeed(seed);
    const durable = foundDurable(this.#options.home.genesis, link, { publicKey, seed }, systemClock.wallMs());
    const self = link.value.roster.find((member) => member.peer === this.#peer);
    if (self === undefined || !sameBytes(self.epochKey, publicKey))
      throw new DaemonError('refused', 'the roster does not list this peer with its first epoch key');
    await this.#options.become(durable, addresses);
  }

  /** Joins a running group. The share comes later by recovery, without further work here. */
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

  /** `others` is the number of peers that wait in this peer's own lobby. */
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
