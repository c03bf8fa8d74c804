/**
 * The handshake with epoch keys (protocol §4). The libp2p identity only opens a connection. In the handshake
 * each side signs both peer ids and both nonces with its listed epoch key. So a thief of an identity cannot
 * use it without the current epoch key.
 *
 *     opener                     answerer
 *     nonce              →
 *                        ←       nonce, proof
 *     proof              →
 *                        ←       verdict
 *
 * Either side may open a handshake. A side that cannot prove itself sends null, and then neither side is
 * authenticated. A handshake that fails takes nothing back, because the other side may only be behind or
 * ahead. After `renew`, the proof by a replaced key ends by itself within a bounded time. A side that adopts
 * a value after the other side runs a handshake of its own for it. Handshakes are paced, and the last one
 * always runs.
 */
import { randomBytes } from 'node:crypto';
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { type LengthPrefixedStream, lpStream } from '@libp2p/utils';
import { decode, encode } from 'cborg';
import { z } from 'zod';
import type { Log } from '../log.ts';
import { Bucket } from './bucket.ts';
import { networkLimits, protocolIds } from './constants.ts';
import type { PeerConnection, PeerConnections } from './peer-connections.ts';
import type { EpochAuthenticator } from './transport.ts';

const nonceBytes = 32;
const nonceSchema = z.instanceof(Uint8Array).refine((nonce) => nonce.length === nonceBytes);
const proofSchema = z
  .tuple([z.number().int().nonnegative(), z.instanceof(Uint8Array)])
  .transform(([epoch, signature]) => ({ epoch, signature }))
  .nullable();
const answerSchema = z.tuple([nonceSchema, proofSchema]);
type Proof = ReturnType<EpochAuthenticator['prove']>;

/**
 * The text that the signer signs: the protocol, the cluster, both peer ids and a nonce of each side, as CBOR.
 */
function handshakeChallenge(
  clusterId: string,
  signer: string,
  verifier: string,
  verifierNonce: Uint8Array,
  signerNonce: Uint8Array,
): Uint8Array {
  return encode([protocolIds.handshake, clusterId, signer, verifier, verifierNonce, signerNonce]);
}

const encodeProof = (proof: Proof): [number, Uint8Array] | null => proof && [proof.epoch, proof.signature];

interface HandshakeComponents {
  node: Pick<Libp2p, 'handle' | 'unhandle' | 'peerId'>;
  clusterId: string;
  connections: PeerConnections;
  authenticator: EpochAuthenticator;
  /** False when the peer has opened too many handshakes. */
  spend(peer: string, quota: 'handshakes'): boolean;
  onAuthenticated(peerConnection: PeerConnection): void;
  onUnauthenticated(peerConnection: PeerConnection): void;
  /** After `renew`, an old proof counts for so long. Milliseconds. */
  reproofMs: number;
  log: Log;
}

/** Runs the handshakes of all connections. */
export class Handshake {
  readonly #components: HandshakeComponents;
  readonly #running = new Map<PeerConnection, { again: boolean }>();
  readonly #paces = new WeakMap<PeerConnection, Bucket>();
  /** Connections on which a handshake of this peer waits its turn. */
  readonly #waiting = new WeakSet<PeerConnection>();
  readonly #stopped = new AbortController();

  constructor(components: HandshakeComponents) {
    this.#components = components;
  }

  async start(): Promise<void> {
    const answer = (stream: Stream, connection: Connection): Promise<void> =>
      this.#answer(stream, connection);
    await this.#components.node.handle(protocolIds.handshake, answer, { maxInboundStreams: 4 });
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#components.node.unhandle(protocolIds.handshake);
  }

  /** Asks for a new proof. The old proof counts for `reproofMs` more at most. */
  renew(peerConnection: PeerConnection): void {
    peerConnection.renewals += 1;
    if (peerConnection.proven) this.#endsUnlessProven(peerConnection);
    this.run(peerConnection);
  }

  #endsUnlessProven(peerConnection: PeerConnection): void {
    peerConnection.endWait ??= this.#later(peerConnection, this.#components.reproofMs, () =>
      this.#expire(peerConnection),
    );
  }

  #expire(peerConnection: PeerConnection): void {
    peerConnection.endWait = null;
    peerConnection.proven = false;
    peerConnection.authenticated = false;
    this.#components.log.debug(
      { peer: peerConnection.peer },
      'the epoch key was replaced, and the new one not proven',
    );
    this.#components.onUnauthenticated(peerConnection);
  }

  /**
   * Opens a handshake, at once when its pace allows. If a handshake of this side runs already, another one
   * follows it.
   */
  run(peerConnection: PeerConnection): void {
    if (this.#waiting.has(peerConnection)) return;
    const running = this.#running.get(peerConnection);
    if (running) {
      running.again = true;
      return;
    }
    const waitMs = this.#paceOf(peerConnection).pace(performance.now());
    if (waitMs === 0) return this.#run(peerConnection);
    this.#waiting.add(peerConnection);
    this.#later(peerConnection, waitMs, () => {
      this.#waiting.delete(peerConnection);
      this.#run(peerConnection);
    });
  }

  #paceOf(peerConnection: PeerConnection): Bucket {
    const pace =
      this.#paces.get(peerConnection) ?? new Bucket(networkLimits.handshakePace, performance.now());
    this.#paces.set(peerConnection, pace);
    return pace;
  }

  #run(peerConnection: PeerConnection): void {
    const state = { again: false };
    this.#running.set(peerConnection, state);
    void this.#open(peerConnection).then((finished) => {
      this.#running.delete(peerConnection);
      if (peerConnection.connection.status !== 'open' || this.#stopped.signal.aborted) return;
      if (state.again) this.run(peerConnection);
      // A busy machine may be the reason, so the handshake is tried again.
      else if (!finished)
        this.#later(peerConnection, networkLimits.handshakeRetryMs, () => this.run(peerConnection));
    });
  }

  /** Runs `task` after the delay, unless the connection closes before. @returns a function that cancels it */
  #later(peerConnection: PeerConnection, delayMs: number, task: () => void): () => void {
    const over = new AbortController();
    const timer = setTimeout(() => {
      over.abort();
      task();
    }, delayMs);
    const cancel = (): void => {
      clearTimeout(timer);
      over.abort();
    };
    peerConnection.connection.addEventListener('close', cancel, { once: true, signal: over.signal });
    this.#stopped.signal.addEventListener('abort', cancel, { once: true, signal: over.signal });
    return cancel;
  }

  /**
   * Runs one handshake from the opener's side. @returns whether the handshake came to its end, with any
   * verdict
   */
  async #open(peerConnection: PeerConnection): Promise<boolean> {
    const { clusterId, node, authenticator } = this.#components;
    const signal = this.#signal();
    const { renewals } = peerConnection;
    let stream: Stream | undefined;
    try {
      stream = await peerConnection.connection.newStream(protocolIds.handshake, { signal });
      const frames = lpStream(stream, { maxDataLength: networkLimits.handshakeBytesMax });
      const own = node.peerId.toString();
      const ownNonce = new Uint8Array(randomBytes(nonceBytes));
      await frames.write(ownNonce, { signal });
      const [peerNonce, peerProof] = answerSchema.parse(decode((await frames.read({ signal })).subarray()));
      const proven =
        peerProof !== null &&
        authenticator.check(
          peerConnection.peer,
          handshakeChallenge(clusterId, peerConnection.peer, own, ownNonce, peerNonce),
          peerProof,
        );
      const proof = proven
        ? authenticator.prove(handshakeChallenge(clusterId, own, peerConnection.peer, peerNonce, ownNonce))
        : null;
      // The flags are set before the proof leaves. The peer may speak on other streams as soon as it has the
      // proof.
      const mutual = proven && proof !== null;
      if (mutual) {
        peerConnection.proven = true;
        peerConnection.wasProven = true;
      }
      await frames.write(encode(encodeProof(proof)), { signal });
      const verdict = (await frames.read({ signal })).subarray();
      this.#settle(peerConnection, mutual && verdict.length === 1 && verdict[0] === 1, renewals);
      await stream.close({ signal });
      return true;
    } catch (err) {
      this.#abort(stream, peerConnection, err);
      return false;
    }
  }

  async #answer(stream: Stream, connection: Connection): Promise<void> {
    const { clusterId, node, authenticator, connections } = this.#components;
    const peerConnection = connections.get(connection);
    if (!peerConnection || !this.#components.spend(peerConnection.peer, 'handshakes'))
      return stream.abort(new Error('the connection is not known, or no longer'));
    const signal = this.#signal();
    const { renewals } = peerConnection;
    try {
      const frames: LengthPrefixedStream<Stream> = lpStream(stream, {
        maxDataLength: networkLimits.handshakeBytesMax,
      });
      const own = node.peerId.toString();
      const peerNonce = nonceSchema.parse((await frames.read({ signal })).slice());
      const ownNonce = new Uint8Array(randomBytes(nonceBytes));
      const proof = authenticator.prove(
        handshakeChallenge(clusterId, own, peerConnection.peer, peerNonce, ownNonce),
      );
      await frames.write(encode([ownNonce, encodeProof(proof)]), { signal });
      const peerProof = proofSchema.parse(decode((await frames.read({ signal })).subarray()));
      const accepted =
        proof !== null &&
        peerProof !== null &&
        authenticator.check(
          peerConnection.peer,
          handshakeChallenge(clusterId, peerConnection.peer, own, ownNonce, peerNonce),
          peerProof,
        );
      // The peer has checked this side's proof before it sent its own, so both sides are proven here. This is
      // settled before the verdict leaves: the peer may speak on other streams as soon as it has the verdict.
      this.#settle(peerConnection, accepted, renewals);
      await frames.write(Uint8Array.of(accepted ? 1 : 0), { signal });
      await stream.close({ signal });
    } catch (err) {
      this.#abort(stream, peerConnection, err);
    }
  }

  /** `renewals` is the count when the handshake began. */
  #settle(peerConnection: PeerConnection, succeeded: boolean, renewals: number): void {
    if (peerConnection.connection.status !== 'open' || this.#stopped.signal.aborted) return;
    this.#components.log.debug({ peer: peerConnection.peer, authenticated: succeeded }, 'handshake');
    const before = peerConnection.authenticated;
    if (succeeded) peerConnection.authenticated = true;
    peerConnection.proven = peerConnection.authenticated;
    peerConnection.wasProven ||= peerConnection.proven;
    // A handshake that began before the last renewal may have proven the older key. Handshakes need not end
    // in the order in which they began.
    if (succeeded) peerConnection.provenRenewals = Math.max(peerConnection.provenRenewals, renewals);
    if (succeeded && peerConnection.provenRenewals < peerConnection.renewals)
      this.#endsUnlessProven(peerConnection);
    else if (succeeded) {
      peerConnection.endWait?.();
      peerConnection.endWait = null;
    }
    if (succeeded && !before) this.#components.onAuthenticated(peerConnection);
  }

  /** A handshake that broke off says nothing about keys. The result of the last finished one stays. */
  #abort(stream: Stream | undefined, peerConnection: PeerConnection, err: unknown): void {
    peerConnection.proven = peerConnection.authenticated;
    stream?.abort(err instanceof Error ? err : new Error('handshake failed'));
    this.#components.log.debug({ peer: peerConnection.peer, err }, 'handshake broke off');
  }

  #signal(): AbortSignal {
    return AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(networkLimits.handshakeTimeoutMs)]);
  }
}
