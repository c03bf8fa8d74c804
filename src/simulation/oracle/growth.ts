/**
 * Statement 6 as a number: how much an honest member's sealed store may grow between two decisions because of
 * others. The bound follows from the table of `src/protocol/records/limits.ts` and from the decisions of the
 * group: its members, keys, clients and orders. The oracle compares every honest store with it after each
 * write.
 */

import { elementBytes } from '../../keys/rsa/numbers.ts';
import { parametersOf, publicOf } from '../../keys/rsa/setting.ts';
import { shareBits } from '../../keys/rsa/sharing.ts';
import { encode } from '../../protocol/records/codec.ts';
import { limits } from '../../protocol/records/limits.ts';
import type { Value } from '../../protocol/records/value.ts';
import { toy } from '../world/toy-kind.ts';
import type { Peer } from '../world/world.ts';

interface GroupSize {
  members: number;
  threshold: number;
  /** For every key the bytes of its modulus and of a share. */
  keys: ReadonlyArray<{ modulus: number; share: number }>;
  clientsBytes: number;
  /** Plans of the undecided change. One has no orders, and the operators' orders make the others. */
  plans: number;
  /** All signed orders that are not carried out. */
  ordersBytes: number;
}

/** The bytes of a CBOR array or map with this many bytes of content. The names are included. */
const wrapped = (bytes: number): number => bytes + 64;
const signed = (body: number): number => wrapped(body + 64 + 64);

function growthMax({ members, threshold, keys, clientsBytes, plans, ordersBytes }: GroupSize): number {
  const sum = (of: (key: GroupSize['keys'][number]) => number) => keys.reduce((all, key) => all + of(key), 0);
  const short = signed(limits.shortBodyBytesMax);
  const created = keys.length + limits.actionsPerOrderMax;
  const have = signed(wrapped(34 * (members + created)) + 2 * 64);
  const value =
    members * wrapped(limits.nameBytesMax + 128 + 32 + 64) +
    sum(({ modulus }) => wrapped(4 * modulus + limits.nameBytesMax + 32 + 64)) +
    clientsBytes +
    members * wrapped(2 * short) +
    (members + created) * wrapped(32) +
    34 * limits.orderAgeEpochsMax +
    512;
  const commitments = sum(({ modulus }) => wrapped((threshold - 1) * (modulus + 3) + 32));
  const evidence = members * (2 * short + have) + ordersBytes;
  const proposal = signed(value) + evidence;
  const proposals = limits.proposalRoundsKept + 1 + members + 2;
  const roundsOfVotes = limits.roundsKept + 1 + limits.roundsAheadMax + 1 + 2;
  const numbers = sum(({ share }) => wrapped(share));
  const dealing = signed(wrapped(commitments + 128) + sum(({ share }) => wrapped(share + 64)));
  // Enough members hold a dealing that is asked for. So one dealer has at most as many dealings as there are
  // disjoint groups of `k` members, and one that turned out false.
  const publicsPerDealer = Math.floor(members / threshold) + 1;
  return (
    plans * (wrapped(ordersBytes) + 2 * wrapped(3 * 32)) + // plans, attended, epochSecrets
    2 * ordersBytes + // orders, admissions
    plans * members * (short + have) + // attends, haves
    2 * roundsOfVotes * members * short + // votes
    proposals * proposal +
    plans * members * publicsPerDealer * wrapped(commitments + 128) + // publics
    plans * members * wrapped(numbers + 3 * 32) + // subShares
    plans * (wrapped(commitments) + (threshold - 1) * numbers + members * dealing) + // dealt, outbox
    members * (short + sum(({ modulus }) => wrapped(modulus + limits.proofBytesMax))) + // readys
    members * 2 * short + // contradictions
    members * members * short + // accusations
    members * wrapped(limits.blameProofBytesMax + 256) + // blames: one with proof
    members * 8 * wrapped(128) + // blames without, holds and waits
    (wrapped(value + members * 128 + commitments) + ordersBytes) + // the link that decides it
    (members * short + sum(({ modulus }) => modulus + 8)) + // its retire proof
    2 * numbers + // shares
    4096 // own, notes, destroyed keys
  );
}

const sizeOf = (value: Value, membersMax: number, plans: number, ordersBytes: number): GroupSize => ({
  members: value.roster.length,
  threshold: value.threshold,
  keys: value.keys.map((key) => {
    const { threshold } = value;
    if (key.kind === toy.name) return { modulus: 128, share: 64 };
    const share = Math.ceil(shareBits(parametersOf({ public: key.public, threshold, membersMax })) / 8);
    return { modulus: elementBytes(publicOf(key.public).modulus).length, share };
  }),
  clientsBytes: encode(value.clients).length,
  plans,
  ordersBytes,
});

/** Remembers the smallest size of each store since its last decision. */
export class Growth {
  readonly #least = new Map<string, { head: number; bytes: number }>();
  readonly #membersMax: number;
  /** The largest part of its bound that any store took. */
  most = 0;

  constructor(membersMax: number) {
    this.#membersMax = membersMax;
  }

  /**
   * Called after a write. `head` is the newest epoch of the peer. Gives what is wrong with the size of its
   * store, or null.
   */
  check(peer: Peer, head: number, value: Value | undefined): string | null {
    const { records } = peer.home;
    let bytes = 0;
    let orders = 0;
    let longestPlan = 0;
    let plans = 0;
    for (const [key, { length }] of records) {
      if (!key.startsWith('chain/')) bytes += length;
      if (key.startsWith('orders/')) orders += length;
      if (!key.startsWith('plans/')) continue;
      plans += 1;
      longestPlan = Math.max(longestPlan, length);
    }
    const before = this.#least.get(peer.name);
    const least = before?.head === head ? Math.min(before.bytes, bytes) : bytes;
    this.#least.set(peer.name, { head, bytes: least });
    if (value === undefined) return null;
    const bound = growthMax(sizeOf(value, this.#membersMax, Math.max(1, plans), orders + longestPlan));
    this.most = Math.max(this.most, (bytes - least) / bound);
    return bytes - least > bound
      ? `${peer.name} was made to store ${bytes - least} bytes in the change after epoch ${head}; ${bound} is the bound`
      : null;
  }
}
