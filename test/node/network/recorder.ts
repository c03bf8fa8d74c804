/** A transport's handlers that remember what happened, and an authenticator whose keys a test can take away. */
import { createHash } from 'node:crypto';
import type { EpochAuthenticator, TransportHandlers } from '../../../src/node/network/transport.ts';

export interface Received {
  from: string;
  frame: Uint8Array;
  via: 'gossip' | 'direct';
  authenticated: boolean;
}

const sha256 = (...parts: (string | Uint8Array)[]): Uint8Array => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

export class Recorder implements TransportHandlers, EpochAuthenticator {
  readonly received: Received[] = [];
  readonly events: string[] = [];
  respond: (from: string, request: Uint8Array, signal: AbortSignal) => Promise<Uint8Array> = async (
    _from,
    request,
  ) => request;
  /** false: this peer has no listed epoch key */
  keyed = true;
  /** The key that it proves with, and the one that it accepts of others: another one after a change. */
  key = 'test key';
  /** Peers whose proofs are not accepted. */
  readonly distrusted = new Set<string>();
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  onMessage(from: string, frame: Uint8Array, via: 'gossip' | 'direct', authenticated: boolean): void {
    this.received.push({ from, frame, via, authenticated });
    this.#onChange();
  }
  onConnect(peer: string): void {
    this.#event(`connect ${peer}`);
  }
  onAuthenticated(peer: string): void {
    this.#event(`authenticated ${peer}`);
  }
  onUnauthenticated(peer: string): void {
    this.#event(`unauthenticated ${peer}`);
  }
  onDisconnect(peer: string): void {
    this.#event(`disconnect ${peer}`);
  }
  onRequest(from: string, request: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    return this.respond(from, request, signal);
  }
  prove(challenge: Uint8Array): { epoch: number; signature: Uint8Array } | null {
    return this.keyed ? { epoch: 7, signature: sha256(this.key, challenge) } : null;
  }
  check(peer: string, challenge: Uint8Array, proof: { epoch: number; signature: Uint8Array }): boolean {
    const expected = Buffer.from(sha256(this.key, challenge));
    const accepted = !this.distrusted.has(peer) && proof.epoch === 7 && expected.equals(proof.signature);
    this.#event(`${accepted ? 'accepted' : 'refused'} ${peer}`);
    return accepted;
  }

  count(event: string): number {
    return this.events.filter((seen) => seen === event).length;
  }

  #event(event: string): void {
    this.events.push(event);
    // After the handler returns: some of what the event announces becomes visible only then.
    queueMicrotask(this.#onChange);
  }
}
