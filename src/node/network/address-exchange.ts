/**
 * Members exchange signed, numbered addresses, so one known peer is enough to find all (protocol §6). On
 * every authenticated connection each side sends its own record and all records that it knows. It also sends
 * the newest record that it knows of the other side, so a peer learns of a record that it must outrank. A
 * member passes news on to the others.
 */
import type { Connection, Libp2p, Stream } from '@libp2p/interface';
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record';
import { lpStream } from '@libp2p/utils';
import { decode, encode } from 'cborg';
import { z } from 'zod';
import { sameBytes } from '../../protocol/records/codec.ts';
import type { Identity } from '../home/identity.ts';
import type { Log } from '../log.ts';
import { type AddressBook, readRecord, verifyRecord } from './address-book.ts';
import { networkLimits, protocolIds } from './constants.ts';
import type { PeerConnection, PeerConnections } from './peer-connections.ts';

const recordsSchema = z.array(z.instanceof(Uint8Array)).max(networkLimits.addressRecordsMax);

interface AddressExchangeComponents {
  node: Pick<
    Libp2p,
    'handle' | 'unhandle' | 'peerId' | 'getMultiaddrs' | 'addEventListener' | 'removeEventListener'
  >;
  identity: Identity;
  connections: PeerConnections;
  book: AddressBook;
  /** False when the peer has sent too many. */
  spend(peer: string, quota: 'addressNews'): boolean;
  /** The addresses of a member have changed. */
  onNews(peer: string): void;
  log: Log;
}

interface OwnRecord {
  addresses: string;
  sequence: bigint;
  envelope: Uint8Array;
}

/** Sends and receives address records. */
export class AddressExchange {
  readonly #components: AddressExchangeComponents;
  readonly #stopped = new AbortController();
  #own: OwnRecord | null = null;
  #sequence = 0n;

  constructor(components: AddressExchangeComponents) {
    this.#components = components;
  }

  async start(): Promise<void> {
    const receive = (stream: Stream, connection: Connection): Promise<void> =>
      this.#receive(stream, connection);
    await this.#components.node.handle(protocolIds.addresses, receive, { maxInboundStreams: 4 });
    this.#components.node.addEventListener('self:peer:update', this.#onOwnUpdate);
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    this.#components.node.removeEventListener('self:peer:update', this.#onOwnUpdate);
    await this.#components.node.unhandle(protocolIds.addresses);
  }

  /** Sends one peer all known records. */
  async greet(peerConnection: PeerConnection): Promise<void> {
    const { book } = this.#components;
    const own = await this.#ownRecord();
    const others = book.peers().map((peer) => book.record(peer));
    await this.#send(peerConnection, [own.envelope, ...others.filter((record) => record !== null)]);
  }

  /** This peer's listen addresses changed (an interface came or went). Every member gets the new record. */
  readonly #onOwnUpdate = async (): Promise<void> => {
    const before = this.#own?.addresses;
    const own = await this.#ownRecord();
    if (before !== undefined && before !== own.addresses) await this.#tellAll([own.envelope], null);
  };

  /**
   * Handles an older record of this peer with a higher number. This peer signed it before a restart, while
   * its clock was ahead. The others would ignore every new record until the clock is there again. So the new
   * record takes a higher number, and every member is told.
   */
  async #outrank(bytes: Uint8Array): Promise<void> {
    const { sequence } = readRecord(bytes);
    const own = await this.#ownRecord();
    if (sequence < own.sequence || sameBytes(bytes, own.envelope)) return;
    await verifyRecord(bytes);
    if (sequence > this.#sequence) this.#sequence = sequence;
    this.#own = null;
    const { envelope } = await this.#ownRecord();
    await this.#tellAll([envelope], null);
  }

  async #ownRecord(): Promise<OwnRecord> {
    const { node, identity } = this.#components;
    const multiaddrs = node.getMultiaddrs().slice(0, networkLimits.addressesPerMemberMax);
    const addresses = multiaddrs.join();
    if (this.#own?.addresses !== addresses) {
      // The number comes from the clock, so a record after a restart is newer. When it is not, `#outrank`
      // mends that.
      const now = BigInt(Date.now());
      const sequence = this.#sequence < now ? now : this.#sequence + 1n;
      this.#sequence = sequence;
      const record = new PeerRecord({ peerId: node.peerId, multiaddrs, seqNumber: sequence });
      const envelope = (await RecordEnvelope.seal(record, identity)).marshal();
      this.#own = { addresses, sequence, envelope };
    }
    return this.#own;
  }

  async #tellAll(records: Uint8Array[], except: string | null): Promise<void> {
    const { connections } = this.#components;
    const peers = connections.authenticated().filter((peer) => peer !== except);
    await Promise.all(peers.map((peer) => this.#send(connections.best(peer), records)));
  }

  async #send(peerConnection: PeerConnection | undefined, records: Uint8Array[]): Promise<void> {
    if (!peerConnection || this.#stopped.signal.aborted) return;
    const signal = this.#signal();
    let stream: Stream | undefined;
    try {
      stream = await peerConnection.connection.newStream(protocolIds.addresses, { signal });
      const frame = encode(records.slice(0, networkLimits.addressRecordsMax));
      await lpStream(stream).write(frame, { signal });
      await stream.close({ signal });
    } catch (err) {
      stream?.abort(err instanceof Error ? err : new Error('addresses were not sent'));
      this.#components.log.debug({ peer: peerConnection.peer, err }, 'addresses were not sent');
    }
  }

  async #receive(stream: Stream, connection: Connection): Promise<void> {
    const { connections, book, onNews, log } = this.#components;
    const peerConnection = connections.get(connection);
    if (!peerConnection?.proven || !this.#components.spend(peerConnection.peer, 'addressNews'))
      return stream.abort(new Error('the peer has not proven its epoch key, or sends too much'));
    const signal = this.#signal();
    try {
      const frames = lpStream(stream, { maxDataLength: networkLimits.addressFrameBytesMax });
      const records = recordsSchema.parse(decode((await frames.read({ signal })).subarray()));
      await stream.close({ signal });
      const news: Uint8Array[] = [];
      for (const record of records) {
        if (readRecord(record).peer === this.#components.node.peerId.toString()) {
          await this.#outrank(record);
          continue;
        }
        const peer = await book.addRecord(record);
        if (peer === null) continue;
        news.push(record);
        onNews(peer);
      }
      if (news.length > 0) await this.#tellAll(news, peerConnection.peer);
    } catch (err) {
      stream.abort(err instanceof Error ? err : new Error('addresses were not understood'));
      log.debug({ peer: peerConnection.peer, err }, 'addresses were not understood');
    }
  }

  #signal(): AbortSignal {
    return AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(networkLimits.streamOpenTimeoutMs)]);
  }
}
