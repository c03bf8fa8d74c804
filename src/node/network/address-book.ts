/**
 * Where members can be reached. Bounded by the roster: nothing is kept about anyone else. A signed record (libp2p's
 * peer record, numbered by its author) outranks what mDNS heard and what the roster or the configuration once said.
 */
import { peerIdFromCID } from '@libp2p/peer-id';
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { networkLimits } from './constants.ts';
import type { MemberAddress } from './transport.ts';

interface Entry {
  /** From the configuration: only these may be names. */
  bootstrap: string[];
  /** What other members said, when this peer was admitted or later. */
  hints: string[];
  /** Heard by mDNS: unsigned. */
  discovered: string[];
  record: { sequence: bigint; envelope: Uint8Array; addresses: string[] } | null;
}

const bounded = (addresses: readonly string[]): string[] =>
  [...new Set(addresses)].slice(0, networkLimits.addressesPerMemberMax);

/** The peer id at the end of a multiaddr, if there is one. */
const peerOf = (address: Multiaddr): string | undefined =>
  address.getComponents().findLast((component) => component.name === 'p2p')?.value;

/** Plain TCP: libp2p would also dial Unix sockets and relays that a member names. */
const toName = /^(dns|dns4|dns6) tcp( p2p)?$/;
const toIp = /^(ip6zone )?(ip4|ip6) tcp( p2p)?$/;

/** null: malformed, or of another form. */
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
 * Whose record it is and what it says; its signature is not checked yet.
 * @throws Error when it is malformed, or names another author than its subject
 */
export function readRecord(bytes: Uint8Array): { peer: string; sequence: bigint; addresses: string[] } {
  if (bytes.length > networkLimits.addressRecordBytesMax) throw new Error('the address record is too large');
  const envelope = RecordEnvelope.createFromProtobuf(bytes);
  const peer = peerIdFromCID(envelope.publicKey.toCID()).toString();
  const record = PeerRecord.createFromProtobuf(envelope.payload);
  if (record.peerId.toString() !== peer) throw new Error('the address record is not signed by its peer');
  return { peer, sequence: record.seqNumber, addresses: record.multiaddrs.map(String) };
}

/** Throws an Error when its signature is false. */
export async function verifyRecord(bytes: Uint8Array): Promise<void> {
  await RecordEnvelope.openAndCertify(bytes, PeerRecord.DOMAIN);
}

export class AddressBook {
  readonly #entries = new Map<string, Entry>();
  readonly #bootstrap: string[];

  /** @param bootstrap multiaddrs with peer ids; used for those peers once they are members */
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

  /** @returns whether the peer is a member and something is new */
  addDiscovered(peer: string, addresses: readonly Multiaddr[]): boolean {
    const entry = this.#entries.get(peer);
    const discovered = bounded(addresses.map(String));
    if (!entry || discovered.join() === entry.discovered.join()) return false;
    entry.discovered = discovered;
    return true;
  }

  /**
   * Takes a signed record if it is a member's and newer than what we have.
   * @returns the member it is about, or null when it taught us nothing
   * @throws Error when it is malformed or its signature is false
   */
  async addRecord(bytes: Uint8Array): Promise<string | null> {
    const { peer, sequence, addresses } = readRecord(bytes);
    if (!this.#isNews(peer, sequence)) return null;
    await verifyRecord(bytes);
    const entry = this.#entries.get(peer);
    if (!entry || !this.#isNews(peer, sequence)) return null; // overtaken while we verified
    entry.record = { sequence, envelope: bytes, addresses: bounded(addresses) };
    return peer;
  }

  record(peer: string): Uint8Array | null {
    return this.#entries.get(peer)?.record?.envelope ?? null;
  }

  /** Best first, each ending in the peer's id. */
  addressesOf(peer: string): Multiaddr[] {
    const entry = this.#entries.get(peer);
    if (!entry) return [];
    // Whoever could give us names would have us look them up, wherever that is noticed.
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
