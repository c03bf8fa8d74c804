/**
 * The addresses of members. The book holds nothing about other peers, so the roster bounds it. A signed
 * record (libp2p's peer record, numbered by its author) ranks above all unsigned addresses: those heard by
 * mDNS, from the roster, and from the configuration.
 */
import { peerIdFromCID } from '@libp2p/peer-id';
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { networkLimits } from './constants.ts';
import type { MemberAddress } from './transport.ts';

interface Entry {
  /** From this peer's configuration. Only these addresses may be names. */
  bootstrap: string[];
  /** Addresses that other members told, when this peer was admitted or later. */
  hints: string[];
  /** Heard by mDNS, and unsigned. */
  discovered: string[];
  record: { sequence: bigint; envelope: Uint8Array; addresses: string[] } | null;
}

const bounded = (addresses: readonly string[]): string[] =>
  [...new Set(addresses)].slice(0, networkLimits.addressesPerMemberMax);

/** The peer id at the end of a multiaddr, if there is one. */
const peerOf = (address: Multiaddr): string | undefined =>
  address.getComponents().findLast((component) => component.name === 'p2p')?.value;

/** Plain TCP only. libp2p would also dial Unix sockets and relays that a member names. */
const toName = /^(dns|dns4|dns6) tcp( p2p)?$/;
const toIp = /^(ip6zone )?(ip4|ip6) tcp( p2p)?$/;

/** The multiaddr. Null when it is malformed or of another form. */
function parsed(address: string, ...forms: readonly RegExp[]): Multiaddr | null {
  try {
    const result = multiaddr(address);
    const names = result.getComponents().map(({ name }) => name);
    return forms.some((form) => form.test(names.join(' '))) ? result : null;
  } catch {
    return null;
  }
}

/**
 * The author and the content of a signed address record. The record comes from a peer, and its signature is
 * not checked here.
 * @throws Error when the record is malformed or too large, or when its author is not its subject
 */
export function readRecord(bytes: Uint8Array): { peer: string; sequence: bigint; addresses: string[] } {
  if (bytes.length > networkLimits.addressRecordBytesMax) throw new Error('the address record is too large');
  const envelope = RecordEnvelope.createFromProtobuf(bytes);
  const peer = peerIdFromCID(envelope.publicKey.toCID()).toString();
  const record = PeerRecord.createFromProtobuf(envelope.payload);
  if (record.peerId.toString() !== peer) throw new Error('the address record is not signed by its peer');
  return { peer, sequence: record.seqNumber, addresses: record.multiaddrs.map(String) };
}

/** Checks the signature of a record. @throws Error (as a rejection) when the signature is false */
export async function verifyRecord(bytes: Uint8Array): Promise<void> {
  await RecordEnvelope.openAndCertify(bytes, PeerRecord.DOMAIN);
}

/** The addresses known of each member. */
export class AddressBook {
  readonly #entries = new Map<string, Entry>();
  readonly #bootstrap: string[];

  /** `bootstrap` holds multiaddrs with peer ids. They serve for these peers once they are members. */
  constructor(bootstrap: readonly string[]) {
    this.#bootstrap = bootstrap.filter((address) => parsed(address, toIp, toName) !== null);
  }

  setMembers(members: readonly MemberAddress[]): void {
    const listed = new Set(members.map(({ peer }) => peer));
    for (const peer of this.#entries.keys()) if (!listed.has(peer)) this.#entries.delete(peer);
    for (const { peer, addresses } of members) {
      const bootstrap = this.#bootstrap.filter((address) => peerOf(multiaddr(address)) === peer);
      const hints = bounded(addresses);
      this.#entries.set(peer, { discovered: [], record: null, ...this.#entries.get(peer), hints, bootstrap });
    }
  }

  has(peer: string): boolean {
    return this.#entries.has(peer);
  }

  peers(): string[] {
    return [...this.#entries.keys()];
  }

  /** Takes addresses that mDNS found. @returns whether the peer is a member and something is new */
  addDiscovered(peer: string, addresses: readonly Multiaddr[]): boolean {
    const entry = this.#entries.get(peer);
    const discovered = bounded(addresses.map(String));
    if (!entry || discovered.join() === entry.discovered.join()) return false;
    entry.discovered = discovered;
    return true;
  }

  /**
   * Takes a signed record of a member when it is newer than the known one. @returns the member's peer id, or
   * null when nothing is new
   * @throws Error (as a rejection) when the record is malformed or its signature is false
   */
  async addRecord(bytes: Uint8Array): Promise<string | null> {
    const { peer, sequence, addresses } = readRecord(bytes);
    if (!this.#isNews(peer, sequence)) return null;
    await verifyRecord(bytes);
    const entry = this.#entries.get(peer);
    if (!entry || !this.#isNews(peer, sequence)) return null; // A newer one came during the check.
    entry.record = { sequence, envelope: bytes, addresses: bounded(addresses) };
    return peer;
  }

  /** The member's signed record, as it goes over the wire. Null when none is known. */
  record(peer: string): Uint8Array | null {
    return this.#entries.get(peer)?.record?.envelope ?? null;
  }

  /** The peer's addresses, best first. Each ends in the peer's id. */
  addressesOf(peer: string): Multiaddr[] {
    const entry = this.#entries.get(peer);
    if (!entry) return [];
    // Names of others are left out. Every resolver on the way sees a look-up, so a liar could make this peer
    // show itself.
    const ofOthers = [...(entry.record?.addresses ?? []), ...entry.discovered, ...entry.hints];
    const known = ofOthers.filter((address) => parsed(address, toIp) !== null);
    return [...new Set([...known, ...entry.bootstrap])]
      .map((address) => multiaddr(address))
      .map((address) => (peerOf(address) === undefined ? address.encapsulate(`/p2p/${peer}`) : address))
      .filter((address) => peerOf(address) === peer)
      .slice(0, networkLimits.addressesPerMemberMax);
  }

  #isNews(peer: string, sequence: bigint): boolean {
    const entry = this.#entries.get(peer);
    return entry !== undefined && (entry.record === null || sequence > entry.record.sequence);
  }
}
