/** Publication to all members over one gossipsub topic, and directly to those that gossip does not reach yet. */
import { createHash } from 'node:crypto';
import { type GossipSub, type GossipsubOpts, type Message, TopicValidatorResult } from '@libp2p/gossipsub';
import type { PeerId } from '@libp2p/interface';
import type { Log } from '../log.ts';
import { networkLimits } from './constants.ts';

export const gossipsubOptions = (topic: string): Partial<GossipsubOpts> => ({
  allowedTopics: [topic],
  allowPublishToZeroTopicPeers: true,
  floodPublish: true,
  // The same bytes published by several members (everyone re-sends others' messages) are one message …
  msgIdFn: ({ data }) => createHash('sha256').update(data).digest(),
  // … but only for a short time: the default of two minutes would swallow every re-sending.
  seenTTL: networkLimits.gossipSeenMs,
  mcacheGossip: 1,
  mcacheLength: 3,
  maxInboundDataLength: networkLimits.gossipBundleBytesMax,
  maxOutboundBufferSize: networkLimits.queueBytesMax,
  // A whole group may live on one machine: by default more than ten peers of one address are shunned.
  scoreParams: { IPColocationFactorWeight: 0 },
  // What one RPC may carry. There is one topic.
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

/** What arrives from a neighbour, as far as we look into it. */
interface Rpc {
  messages?: ReadonlyArray<{ from?: Uint8Array }>;
  subscriptions?: readonly unknown[];
  control?: object;
}

interface GossipComponents {
  pubsub: GossipSub;
  topic: string;
  isMember(peer: string): boolean;
  /** false: the peer has sent too much. */
  spend(peer: string, quota: GossipQuota): boolean;
  authenticated(): string[];
  sendDirect(peer: string, frame: Uint8Array): void;
  onFrame(author: string, frame: Uint8Array): void;
  log: Log;
}

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
      // Ignored, not rejected: the relaying member may have the newer roster.
      return fits && known ? TopicValidatorResult.Accept : TopicValidatorResult.Ignore;
    });
    this.#countReceived();
    pubsub.addEventListener('message', this.#onMessage);
    pubsub.subscribe(topic);
    this.#started = true;
  }

  /**
   * Counts what each neighbour hands us before gossipsub checks any signature: its own publications, and
   * those of others, for which it is not to blame as long as it passes on no more than we all bear.
   * gossipsub's one entrance for both is a method that its interface does not list.
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

  /** Nothing happens when it never started: gossipsub would throw. */
  stop(): void {
    if (!this.#started) return;
    this.#started = false;
    const { pubsub, topic } = this.#components;
    pubsub.removeEventListener('message', this.#onMessage);
    pubsub.unsubscribe(topic);
    pubsub.topicValidators.delete(topic);
  }

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
      log.debug({ err, topic }, 'not published'); // as a rule: the same bytes again within `gossipSeenMs`
    }
  }

  /**
   * Gossipsub floods its own publications to every subscriber that it has a stream to. In a connection's first
   * moments, and when a gossip stream was lost, it does not reach everyone: the rest get the frame directly.
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
