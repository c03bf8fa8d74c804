/** Publication to all members over one gossipsub topic, and directly to those that gossip does not reach yet. */
import { createHash } from 'node:crypto';
import { type GossipSub, type GossipsubOpts, type Message, TopicValidatorResult } from '@libp2p/gossipsub';
import type { Log } from '../log.ts';
import { networkLimits } from './constants.ts';

export const gossipsubOptions: Partial<GossipsubOpts> = {
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
};

export interface GossipComponents {
  pubsub: GossipSub;
  topic: string;
  isMember(peer: string): boolean;
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
    pubsub.addEventListener('message', this.#onMessage);
    pubsub.subscribe(topic);
    this.#started = true;
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
