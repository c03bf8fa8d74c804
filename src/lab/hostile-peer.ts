/**
 * A hostile program in a member's place: it has the member's real identity, epoch keys and shares from its home, speaks
 * through the real network modules, and says whatever it is told to.
 */
import { hashOf } from '../crypto/hash.ts';
import { sign } from '../crypto/signature.ts';
import { openHome } from '../node/home/home.ts';
import { identityFromBytes } from '../node/home/identity.ts';
import { Libp2pTransport } from '../node/network/libp2p-transport.ts';
import type { EpochAuthenticator, MemberAddress } from '../node/network/transport.ts';
import {
  type PartialAnswer,
  type PartialRequest,
  partialAnswerSchema,
} from '../node/use/partial-messages.ts';
import type { Durable } from '../protocol/machine/state.ts';
import { decode, encode, hex } from '../protocol/records/codec.ts';
import type { Value } from '../protocol/records/value.ts';
import { ConditionWatch } from './condition-watch.ts';
import type { Lab } from './lab.ts';
import { stolenDurable } from './stolen-shares.ts';

/** What its home tells a thief. */
export interface Stolen {
  name: string;
  identity: ReturnType<typeof identityFromBytes>;
  clusterId: Uint8Array;
  durable: Durable;
  /** The newest value. */
  value: Value;
}

export async function stealHome(lab: Lab, name: string): Promise<Stolen> {
  const home = openHome(lab.peer(name).home);
  const durable = await stolenDurable(home.dir);
  const value = durable.links[durable.own.head]?.value;
  if (value === undefined) throw new Error(`${name} was a member`);
  return { name, identity: identityFromBytes(home.readIdentity()), clusterId: home.cluster, durable, value };
}

/** Proves the stolen epoch key, and believes everybody. */
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

export class HostilePeer extends ConditionWatch {
  readonly stolen: Stolen;
  readonly transport: Libp2pTransport;
  readonly #members: MemberAddress[];
  /** Who asked it for a partial, and what for. */
  readonly asked: Array<{ from: string; asked: Uint8Array }> = [];
  /** How it answers those who ask it for a partial; by default never. */
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

  /** Ends the member's daemon and takes its place, connected to everybody else. */
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
        // What the event announces is visible only after the handler.
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

  /** `others`: how many are up; everybody else when left out. */
  untilConnected(others = this.#members.length - 1): Promise<void> {
    return this.until(() => this.transport.authenticated().length === others);
  }

  /** Hangs up on everybody, and comes back. */
  async reconnect(): Promise<void> {
    await this.transport.setMembers([]);
    await this.transport.setMembers(this.#members);
  }

  /** Everybody else. */
  others(): Array<{ name: string; peer: string; index: number }> {
    return this.stolen.value.roster.filter(({ peer }) => peer !== this.transport.peerId);
  }

  /** Asks a member for a partial, directly at its request stream. */
  async ask(peer: string, request: PartialRequest['request'], prove = false): Promise<PartialAnswer> {
    return decode(partialAnswerSchema, await this.askBytes(peer, this.asking(request, prove)));
  }

  asking(request: PartialRequest['request'], prove = false): Uint8Array {
    return encode({ epoch: this.stolen.value.epoch, request, prove } satisfies PartialRequest);
  }

  askBytes(peer: string, bytes: Uint8Array): Promise<Uint8Array> {
    return this.transport.request(peer, bytes, { signal: AbortSignal.timeout(20_000) });
  }

  stop(): Promise<void> {
    return this.transport.stop();
  }
}
