/**
 * Publishes to all members over one gossipsub topic, and directly to members that gossip does not reach yet.
 */
import { createHash } from 'node:crypto';
import { type GossipSub, type GossipsubOpts, type Message, TopicValidatorResult } from '@libp2p/gossipsub';
import type { PeerId } from '@libp2p/interface';
import type { Log } from '../log.ts';
import { networkLimits } from './constants.ts';

/** The options of gossipsub for a group with one topic. */
export const gossipsubOptions = (topic: string): Partial<GossipsubOpts> => ({
  allowedTopics: [topic],
  allowPublishToZeroTopicPeers: true,
  floodPublish: true,
  // Every member sends others' messages again. The same bytes from several members are one message …
  msgIdFn: ({ data }) => createHash('sha256').update(data).digest(),
  // … but for a short time only. The default of two minutes would swallow every repeated message.
  seenTTL: networkLimits.gossipSeenMs,
  mcacheGossip: 1,
  mcacheLength: 3,
  maxInboundDataLength: networkLimits.gossipBundleBytesMax,
  maxOutboundBufferSize: networkLimits.queueBytesMax,
  // A whole group may live on one machine. By default gossipsub shuns more than ten peers of one address.
  scoreParams: { IPColocationFactorWeight: 0 },
  // Bounds on one RPC. There is only one topic.
  decodeRpcLimits: {
    maxSubscriptions: 16,
    maxMessages: 4096,
    maxIhaveMessageIDs: 5000,
    maxIwantMessageIDs: 5000,
    maxIdontwantMessageIDs: 512,
    maxControlMessages: 128,
    maxPeerInfos: 16,
  },
});

type GossipQuota = 'gossipOwn' | 'gossipRelayed' | 'gossipControl';

/** The parts of a neighbour's RPC that this file reads. */
interface Rpc {
  messages?: ReadonlyArray<{ from?: Uint8Array }>;
  subscriptions?: readonly unknown[];
  control?: object;
}

interface GossipComponents {
  pubsub: GossipSub;
  topic: string;
  isMember(peer: string): boolean;
  /** False when the peer has sent too much. */
  spend(peer: string, quota: GossipQuota): boolean;
  authenticated(): string[];
  sendDirect(peer: string, frame: Uint8Array): void;
  onFrame(author: string, frame: Uint8Array): void;
  log: Log;
}

/** One member's part in gossip. */
export class Gossip {
  readonly #components: GossipComponents;
  #started = false;

  constructor(components: GossipComponents) {
    this.#components = components;
  }

  start(): void {
    const { pubsub, topic, isMember } = this.#components;
    pubsub.topicValidators.set(topic, (_peer, message) => {
      const fits = message.data.length <= networkLimits.gossipFrameBytesMax;
      const known = message.type === 'signed' && isMember(message.from.toString());
      // The message is ignored and not rejected: the member that relays it may have a newer roster.
      return fits && known ? TopicValidatorResult.Accept : TopicValidatorResult.Ignore;
    });
    this.#countReceived();
    pubsub.addEventListener('message', this.#onMessage);
    pubsub.subscribe(topic);
    this.#started = true;
  }

  /**
   * Counts everything that a neighbour sends, before gossipsub checks any signature. A neighbour's own
   * publications count apart from those of others. It is not blamed for the others' as long as it passes on
   * no more than the whole group may publish. gossipsub has one method through which both arrive, and its
   * interface does not list that method.
   */
  #countReceived(): void {
    const entrance = this.#components.pubsub as GossipSub & {
      handleReceivedRpc(from: PeerId, rpc: Rpc): Promise<void>;
    };
    const receive = entrance.handleReceivedRpc.bind(entrance);
    entrance.handleReceivedRpc = async (from, rpc) => {
      if (this.#mayPass(from, rpc)) await receive(from, rpc);
    };
  }

  #mayPass(from: PeerId, { messages = [], subscriptions = [], control }: Rpc): boolean {
    const { spend } = this.#components;
    const peer = from.toString();
    const own = from.toMultihash().bytes;
    if ((control !== undefined || subscriptions.length > 0) && !spend(peer, 'gossipControl')) return false;
    return messages.every((message) =>
      spend(peer, Buffer.compare(message.from ?? own, own) === 0 ? 'gossipOwn' : 'gossipRelayed'),
    );
  }

  /** Does nothing when `start` was never called, because gossipsub would throw then. */
  stop(): void {
    if (!this.#started) return;
    this.#started = false;
    const { pubsub, topic } = this.#components;
    pubsub.removeEventListener('message', this.#onMessage);
    pubsub.unsubscribe(topic);
    pubsub.topicValidators.delete(topic);
  }

  /** Publishes a frame. A frame longer than `gossipFrameBytesMax` goes to each member directly. */
  publish(frame: Uint8Array): void {
    if (frame.length > networkLimits.gossipFrameBytesMax) this.#sendToOthers(frame, new Set());
    else void this.#gossip(frame);
  }

  async #gossip(frame: Uint8Array): Promise<void> {
    const { pubsub, topic, log } = this.#components;
    try {
      const { recipients } = await pubsub.publish(topic, frame);
      this.#sendToOthers(frame, new Set(recipients.map(String)));
    } catch (err) {
      log.debug({ err, topic }, 'not published'); // Mostly the same bytes again within `gossipSeenMs`.
    }
  }

  /**
   * Gossipsub sends a publication to every subscriber that it has a stream to. In a connection's first
   * moments, or after a gossip stream was lost, it misses some members. Those members get the frame directly.
   */
  #sendToOthers(frame: Uint8Array, reached: ReadonlySet<string>): void {
    const { authenticated, sendDirect } = this.#components;
    for (const peer of authenticated()) if (!reached.has(peer)) sendDirect(peer, frame);
  }

  readonly #onMessage = ({ detail: message }: CustomEvent<Message>): void => {
    if (message.type !== 'signed' || message.topic !== this.#components.topic) return;
    this.#components.onFrame(message.from.toString(), message.data);
  };
}
