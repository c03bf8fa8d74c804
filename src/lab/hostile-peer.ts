/**
 * A hostile program in a member's place. It has the member's real identity, epoch keys and shares from its
 * home. It speaks through the real network modules, and says whatever a story tells it to.
 */
import { hashOf } from '../crypto/hash.ts';
import { sign } from '../crypto/signature.ts';
import { openHome } from '../node/home/home.ts';
import { identityFromBytes } from '../node/home/identity.ts';
import { Libp2pTransport } from '../node/network/libp2p-transport.ts';
import type { EpochAuthenticator, MemberAddress } from '../node/network/transport.ts';
import {
  type PartialAnswer,
  partialAnswers,
  partialRequests,
  type UseQuestion,
} from '../node/use/partial-messages.ts';
import type { Durable } from '../protocol/machine/durable-state.ts';
import { hex } from '../protocol/records/codec.ts';
import type { Value } from '../protocol/records/value.ts';
import { ConditionWatch } from './condition-watch.ts';
import type { Lab } from './lab.ts';
import { stolenDurable } from './stolen-shares.ts';

/** Everything that a thief finds in a home. */
export interface Stolen {
  name: string;
  identity: ReturnType<typeof identityFromBytes>;
  clusterId: Uint8Array;
  durable: Durable;
  /** The newest value. */
  value: Value;
}

/** Reads the home of a peer whose daemon may run. Throws when the peer is no member. */
export async function stealHome(lab: Lab, name: string): Promise<Stolen> {
  const home = openHome(lab.peer(name).home);
  const durable = await stolenDurable(home.dir);
  const value = durable.links[durable.own.head]?.value;
  if (value === undefined) throw new Error(`${name} was a member`);
  return { name, identity: identityFromBytes(home.readIdentity()), clusterId: home.cluster, durable, value };
}

/** Proves the stolen epoch key, and accepts the proof of every other member. */
export function stolenAuthenticator({ name, clusterId, durable, value }: Stolen): EpochAuthenticator {
  const self = value.roster.find((member) => member.name === name);
  const secret = self && durable.epochSecrets[hex(self.epochKey)];
  if (secret === undefined) throw new Error(`${name} had its epoch key`);
  return {
    prove: (challenge) => ({
      epoch: value.epoch,
      signature: sign(secret, hashOf('holdfast/handshake/1', clusterId, challenge)),
    }),
    check: () => true,
  };
}

/** The hostile program. Its transport listens on loopback only. */
export class HostilePeer extends ConditionWatch {
  readonly stolen: Stolen;
  readonly transport: Libp2pTransport;
  readonly #members: MemberAddress[];
  /** The requests for a partial that came in: the peer id that asked, and the request's bytes. */
  readonly asked: Array<{ from: string; asked: Uint8Array }> = [];
  /** Gives the bytes of an answer to a request for a partial. At first it never answers. */
  respond: (from: string, asked: Uint8Array) => Promise<Uint8Array> = () => new Promise(() => {});

  private constructor(stolen: Stolen, members: MemberAddress[]) {
    super();
    this.stolen = stolen;
    this.#members = members;
    this.transport = new Libp2pTransport({
      identity: stolen.identity,
      clusterId: hex(stolen.clusterId),
      listen: ['/ip4/127.0.0.1/tcp/0'],
      mdns: false,
    });
  }

  /** Ends the member's daemon and takes its place. Resolves when it is connected to all other members. */
  static async replace(lab: Lab, name: string): Promise<HostilePeer> {
    const stolen = await stealHome(lab, name);
    const [other = ''] = lab.names.filter((running) => running !== name);
    const members = (await lab.api(other).peers()).map(({ peer, addresses }) => ({ peer, addresses }));
    await lab.stop(name);
    const hostile = new HostilePeer(stolen, members);
    await hostile.#start();
    return hostile;
  }

  async #start(): Promise<void> {
    const { transport, changed } = this;
    await transport.setMembers(this.#members);
    await transport.start(
      {
        onMessage() {},
        onConnect: changed,
        // The event's effect is visible only after its handler.
        onAuthenticated: () => queueMicrotask(changed),
        onUnauthenticated: () => queueMicrotask(changed),
        onDisconnect: () => queueMicrotask(changed),
        onRequest: (from, asked) => {
          this.asked.push({ from, asked });
          return this.respond(from, asked);
        },
      },
      stolenAuthenticator(this.stolen),
    );
    await this.untilConnected();
  }

  /** Resolves when this many others have proven their keys. Left out: all other members. */
  untilConnected(others = this.#members.length - 1): Promise<void> {
    return this.until(() => this.transport.authenticated().length === others);
  }

  /** Closes all connections, and opens them again. */
  async reconnect(): Promise<void> {
    await this.transport.setMembers([]);
    await this.transport.setMembers(this.#members);
  }

  /** All other members. */
  others(): Array<{ name: string; peer: string; index: number }> {
    return this.stolen.value.roster.filter(({ peer }) => peer !== this.transport.peerId);
  }

  /**
   * Asks a member for a partial, directly at its request stream. Rejects with `ProtocolError` for a malformed
   * answer.
   */
  async ask(peer: string, request: UseQuestion['request'], prove = false): Promise<PartialAnswer> {
    return partialAnswers.decode(await this.askBytes(peer, this.asking(request, prove)));
  }

  /** The bytes of a request for a partial. */
  asking(request: UseQuestion['request'], prove = false): Uint8Array {
    return partialRequests.encode({ epoch: this.stolen.value.epoch, request, prove, type: 'partial' });
  }

  /** Sends any bytes to a member's request stream, and gives the answer's bytes. */
  askBytes(peer: string, bytes: Uint8Array): Promise<Uint8Array> {
    return this.transport.request(peer, bytes, { signal: AbortSignal.timeout(20_000) });
  }

  stop(): Promise<void> {
    return this.transport.stop();
  }
}
