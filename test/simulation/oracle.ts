/**
 * The oracle sees every disk, every state and every secret, and checks what must always hold (protocol §7) after every step,
 * by its own formulas where the code under test has one too. It looks only at what changed since it last looked.
 */

import { decode as decodeRecord } from 'cborg';
import { checkSubShare } from '../../src/crypto/dealing.ts';
import { decodeSigned } from '../../src/crypto/integers.ts';
import { interpolate } from '../../src/crypto/rsa-sharing.ts';
import type { Driver } from '../../src/node/driver.ts';
import { parametersOf } from '../../src/node/sealing.ts';
import type { StoreTransaction } from '../../src/node/store/store.ts';
import { decode, encode, hex, numberOf, sameBytes } from '../../src/protocol/codec.ts';
import type { Output } from '../../src/protocol/io.ts';
import { type Link, precommitBody } from '../../src/protocol/link.ts';
import {
  type Carried,
  dealingPublicSchema,
  type Message,
  messageSchema,
  type RetireProof,
  readySchema,
  type Vote,
} from '../../src/protocol/messages.ts';
import { verifyPacket } from '../../src/protocol/packet.ts';
import { headOf, holdsShare, selfIn } from '../../src/protocol/queries.ts';
import type { CoreState, Durable } from '../../src/protocol/state.ts';
import { hashOfValue, publicOf, type Value } from '../../src/protocol/value.ts';
import type { Peer, World } from './world.ts';

type Said = Exclude<Message, { type: 'dealing' }>;

/** A statement of protocol §7 that did not hold, or one of §4's rules on which they rest. */
export class Violation extends Error {
  readonly statement: string;
  constructor(statement: string, what: string) {
    super(`statement ${statement}: ${what}`);
    this.name = 'Violation';
    this.statement = statement;
  }
}

/** The record in which a message that may be said only once is kept; null for what may be said again. */
const recordOf = (message: Said): string | null =>
  message.type === 'attend'
    ? `attends/${hex(message.plan)}/${message.by}`
    : message.type === 'proposal'
      ? `proposals/${message.round}`
      : message.type === 'have' || message.type === 'ready'
        ? null
        : `votes/${message.type}/${message.round}/${message.by}`;

/** What one member may make another store, all messages of an undecided change included. */
const sealedBytesMax = (members: number) => 400_000 + members * members * 40_000;
const volatileEntriesMax = 2_000;

export class Oracle {
  violation: Violation | null = null;
  /** Every certified value, by epoch. */
  readonly values = new Map<number, { hash: string; link: Link; by: string }>();
  readonly #world: World;
  readonly #clusterId: Uint8Array;
  readonly #secretOf: (modulus: Uint8Array) => bigint;
  readonly #seen = new Map<string, { links: object; shares: object; subShares: object; head: number }>();
  /** Shares that honest peers hold: `epoch/key` → index → share. */
  readonly #shares = new Map<string, Map<number, bigint>>();
  readonly #acceptedIn = new Map<string, number>();
  /** What honest peers published, by peer, type, epoch, round: a second, different one is a contradiction. */
  readonly #said = new Map<string, { peer: string; record: string; body: string }>();
  readonly #rememberedByOthers = new Set<string>();
  readonly #prevoters = new Map<string, Set<number>>();
  readonly #precommits = new Map<string, Array<{ round: number; value: string }>>();
  readonly #checkedProofs = new Set<string>();
  latest = 0;

  constructor(world: World, clusterId: Uint8Array, secretOf: (modulus: Uint8Array) => bigint) {
    this.#world = world;
    this.#clusterId = clusterId;
    this.#secretOf = secretOf;
  }

  fail(statement: string, what: string): void {
    this.violation ??= new Violation(statement, what);
  }

  // ── statements 1 to 3: what peers hold certificates and shares of ───────────────────────────────────────────────────

  /** After every step of a peer. */
  onChange(peer: Peer): void {
    const { state } = peer.driver as Driver;
    if (peer.faulty !== null) return;
    const seen = this.#seen.get(peer.name);
    const { links, shares, subShares, own } = state.durable;
    if (seen?.links !== links) this.#checkLinks(peer, state);
    if (seen?.shares !== shares || seen.head !== own.head) this.#checkShares(peer, state);
    if (seen?.subShares !== subShares)
      this.#checkSubShares(peer, state, seen?.subShares as Durable['subShares']);
    this.#seen.set(peer.name, { links, shares, subShares, head: own.head });
    const { inbox, early } = state.volatile;
    if (Object.keys(inbox).length > volatileEntriesMax || early.length > volatileEntriesMax)
      this.fail('6', `${peer.name} keeps too much in memory`);
  }

  #checkLinks(peer: Peer, state: CoreState): void {
    for (const [name, link] of Object.entries(state.durable.links)) {
      const epoch = Number(name);
      const hash = hex(hashOfValue(link.value));
      const known = this.values.get(epoch);
      if (known === undefined) {
        this.values.set(epoch, { hash, link, by: peer.name });
        this.latest = Math.max(this.latest, epoch);
        if (epoch > 1) this.#checkNewValue(peer, state, link);
        this.#checkEnoughHolders(`when epoch ${epoch} was decided`);
      } else if (known.hash !== hash)
        this.fail(
          '1',
          `${known.by} and ${peer.name} hold certificates of different values for epoch ${epoch}`,
        );
    }
  }

  /** By this oracle's own formulas: certificate, number and freshness of dealings. */
  #checkNewValue(peer: Peer, state: CoreState, { value, certificate }: Link): void {
    const parent = this.values.get(value.epoch - 1)?.link.value;
    if (parent === undefined || certificate.type !== 'precommits')
      return this.fail('1', `${peer.name} took up epoch ${value.epoch} out of order`);
    const voted = new Set<number>();
    for (const { by, signature } of certificate.votes) {
      const body = precommitBody(by, value.epoch, certificate.round, hashOfValue(value));
      const member = parent.roster.find(({ index }) => index === by);
      if (member && verifyPacket(this.#clusterId, member.epochKey, { body, signature })) voted.add(by);
    }
    if (voted.size < this.#quorumOf(parent))
      this.fail('1', `${peer.name} took up epoch ${value.epoch} on ${voted.size} votes`);
    const dealers = new Set(value.accepted.map(({ dealer }) => dealer).filter((dealer) => dealer !== 0));
    if (dealers.size < value.threshold)
      this.fail(
        '3',
        `epoch ${value.epoch} rests on ${dealers.size} dealers; t of them may be known to an intruder`,
      );
    for (const { digest, dealer } of value.accepted) {
      const name = hex(digest);
      if (this.#acceptedIn.has(name))
        this.fail(
          '3',
          `a dealing of ${dealer} is used in epochs ${this.#acceptedIn.get(name)} and ${value.epoch}`,
        );
      this.#acceptedIn.set(name, value.epoch);
      const half = state.durable.publics[name];
      if (half === undefined) continue;
      const { epoch, plan } = decode(dealingPublicSchema, half.bytes);
      if (epoch !== value.epoch || !sameBytes(plan, value.plan))
        this.fail('3', `epoch ${value.epoch} accepts a dealing that ${dealer} made for another plan`);
    }
  }

  /** Every share lies on the one polynomial of its epoch, whose value at 0 is the secret: so any k of them sign. */
  #checkShares(peer: Peer, state: CoreState): void {
    const index = peer.index;
    for (const [name, shares] of Object.entries(state.durable.shares)) {
      const value = state.durable.links[name]?.value;
      if (value === undefined || selfIn(state, value)?.index !== index) continue;
      for (const key of value.keys) {
        const bytes = shares[hex(key.id)];
        if (bytes === undefined) continue;
        const held = this.#heldOf(`${name}/${hex(key.id)}`);
        const share = decodeSigned(bytes);
        if (held.get(index) === share) continue;
        if (held.has(index)) this.fail('2', `${peer.name} holds two shares of epoch ${name}`);
        held.set(index, share);
        const before = this.#shares.get(`${Number(name) - 1}/${hex(key.id)}`)?.get(index);
        if (before === share)
          this.fail('3', `the share of ${peer.name} is the same in epochs before and at ${name}`);
        if (held.size < value.threshold) continue;
        const others = [...held].filter(([other]) => other !== index).slice(0, value.threshold - 1);
        const secret = this.#secretOf(key.modulus);
        let at0: bigint | null = null;
        try {
          at0 = interpolate(new Map([...others, [index, share]]), 0, this.#world.genesis.membersMax);
        } catch {
          // Not even an integer.
        }
        if (at0 !== secret)
          this.fail('2', `the share of ${peer.name} in epoch ${name} does not sign with the others`);
      }
    }
  }

  #heldOf(name: string): Map<number, bigint> {
    const held = this.#shares.get(name) ?? new Map<number, bigint>();
    this.#shares.set(name, held);
    return held;
  }

  /** What an honest peer stores as checked is right; only liars' dealings can be wrong. */
  #checkSubShares(peer: Peer, state: CoreState, before: Durable['subShares'] | undefined): void {
    for (const [digest, held] of Object.entries(state.durable.subShares)) {
      if (before?.[digest] === held || held.dealer === 0) continue;
      if (this.#world.peers[held.dealer - 1]?.faulty !== 'lies') continue;
      const half = state.durable.publics[digest];
      const parent = state.durable.links[held.epoch - 1]?.value;
      if (half === undefined || parent === undefined) continue;
      decode(dealingPublicSchema, half.bytes).parts.forEach((part, at) => {
        const key = parent.keys.find(({ id }) => sameBytes(id, part.key));
        if (key === undefined) {
          this.fail('2', `${peer.name} holds a sub-share of no key`);
          return;
        }
        const threshold = part.commitments.length + 1;
        const right = checkSubShare({
          key: publicOf(key),
          parameters: parametersOf({ key, threshold, membersMax: this.#world.genesis.membersMax }),
          commitments: part.commitments.map(numberOf),
          receiver: peer.index,
          subShare: decodeSigned(held.numbers[at] as Uint8Array),
        });
        if (!right) this.fail('2', `${peer.name} took a false sub-share of ${held.dealer} for a true one`);
      });
    }
  }

  // ── statement 4, and what may be erased when: what the disks hold ───────────────────────────────────────────────────

  /** After every durable write. */
  onDurable(peer: Peer, { puts, deletes }: StoreTransaction): void {
    if (peer.faulty !== null) return;
    const { records } = peer.home;
    const erased = deletes.filter((key) => key.startsWith('shares/'));
    for (const key of erased) this.#checkErasure(peer, Number(key.slice(7)));
    const own = puts.find(([key]) => key === 'own');
    if (own !== undefined) this.#checkNothingOldIsLeft(peer, decodeRecord(own[1]) as Durable['own']);
    if (deletes.some((key) => /^(shares|subShares)\//.test(key)))
      this.#checkEnoughHolders(`when ${peer.name} erased something`);
    let bytes = 0;
    for (const [key, value] of records) if (!key.startsWith('chain/')) bytes += value.length;
    if (bytes > sealedBytesMax(this.#world.peers.length))
      this.fail('6', `${peer.name} was made to store ${bytes} bytes`);
  }

  #checkErasure(peer: Peer, epoch: number): void {
    const { records } = peer.home;
    for (let later = this.latest; later > epoch; later -= 1) {
      const bytes = records.get(`chain/${String(later).padStart(9, '0')}-retire`);
      if (bytes !== undefined) return this.#checkRetireProof(peer, decodeRecord(bytes) as RetireProof);
    }
    const newest = this.values.get(this.latest)?.link.value;
    if (newest?.roster.some((member) => member.peer === peer.peer))
      this.fail('4', `${peer.name} erased its share of epoch ${epoch} without a retire proof`);
  }

  #checkRetireProof(peer: Peer, proof: RetireProof): void {
    const known = this.values.get(proof.epoch);
    if (known === undefined) return this.fail('4', `${peer.name} retired an epoch that was not decided`);
    const name = `${proof.epoch}/${proof.readys.map(({ signature }) => hex(signature)).join()}`;
    if (this.#checkedProofs.has(name)) return;
    this.#checkedProofs.add(name);
    const { value } = known.link;
    const ready = new Set<number>();
    for (const packet of proof.readys) {
      const { by, epoch, value: named } = decode(readySchema, packet.body);
      const member = value.roster.find(({ index }) => index === by);
      const right = epoch === value.epoch && hex(named) === known.hash;
      if (right && member && verifyPacket(this.#clusterId, member.epochKey, packet)) ready.add(by);
    }
    if (ready.size < this.#quorumOf(value) || proof.signatures.length !== value.keys.length)
      this.fail('4', `${peer.name} erased on a retire proof of ${ready.size} Readys`);
  }

  #checkNothingOldIsLeft(peer: Peer, own: Durable['own']): void {
    if (own.retired !== own.head) return;
    for (const key of peer.home.records.keys()) {
      const [section, rest] = key.split('/');
      if (section === 'shares' && Number(rest) < own.retired)
        this.fail('3', `${peer.name} retired epoch ${own.retired} and still holds a share of ${rest}`);
    }
  }

  /** While at most `faults` are faulty, k honest peers hold or can compute shares of the latest certified epoch. */
  #checkEnoughHolders(when: string): void {
    const newest = this.values.get(this.latest)?.link.value;
    if (newest === undefined || newest.epoch < 2) return;
    const able = this.#world.peers.filter(
      (peer) =>
        peer.faulty === null &&
        newest.roster.some((member) => member.peer === peer.peer) &&
        this.#canCompute(peer, newest),
    );
    if (able.length < newest.threshold)
      this.fail(
        '4',
        `${when}, only ${able.length} honest peers could compute shares of epoch ${newest.epoch}`,
      );
  }

  #canCompute({ home: { records } }: Peer, value: Value): boolean {
    if (records.has(`shares/${value.epoch}`)) return true;
    return (
      records.has(`shares/${value.epoch - 1}`) &&
      value.accepted.every(({ digest }) => records.has(`subShares/${hex(digest)}`))
    );
  }

  // ── what leaves a peer ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Everything that a peer publishes is its own: durable before it left, and never contradicted (§4, the four rules). */
  onOutput(peer: Peer, output: Output): void {
    if (output.type !== 'publish' || output.frame.type !== 'message') return;
    const message = decode(messageSchema, output.frame.message.packet.body);
    if (message.type === 'dealing') return;
    if (message.type === 'prevote') this.#countPrevote(message);
    if (peer.faulty !== 'lies') this.#checkOnce(peer, message);
    if (peer.faulty !== null) return;
    if (!this.#isDurable(peer, message))
      this.fail('4', `${peer.name} sent its ${message.type} of epoch ${message.epoch} before it was durable`);
    if (message.type === 'prevote' || message.type === 'precommit') this.#checkLock(peer, message);
  }

  #isDurable(peer: Peer, message: Said): boolean {
    const { records } = peer.home;
    // What one step says and the next one decides is durable as the decision.
    const decided =
      message.type !== 'ready' && records.has(`chain/${String(message.epoch).padStart(9, '0')}`);
    if (decided) return true;
    switch (message.type) {
      case 'attend': {
        const own = decodeRecord(records.get('own') ?? encode({ retired: 0 })) as Durable['own'];
        if (own.retired < message.epoch - 1)
          this.fail(
            '4',
            `${peer.name} attends epoch ${message.epoch} before it retired ${message.epoch - 2}`,
          );
        return (
          records.has(`attended/${hex(message.plan)}`) &&
          records.has(`epochSecrets/${hex(message.epochKey)}`) &&
          records.has(`attends/${hex(message.plan)}/${message.by}`)
        );
      }
      case 'have':
        if (!records.has(`shares/${message.epoch - 1}`))
          this.fail('4', `${peer.name} sent a Have without a share of epoch ${message.epoch - 1}`);
        return message.digests.every((digest) => records.has(`subShares/${hex(digest)}`));
      case 'proposal':
        return records.has(`proposals/${message.round}`);
      case 'prevote':
      case 'precommit':
        return records.has(`votes/${message.type}/${message.round}/${message.by}`);
      case 'ready':
        return records.has(`shares/${message.epoch}`);
      default:
        return true;
    }
  }

  #checkOnce(peer: Peer, message: Said): void {
    const record = recordOf(message);
    if (record === null) return;
    const name = `${peer.name}/${message.epoch}/${record}`;
    const body = hex(encode(message));
    const before = this.#said.get(name);
    const excused = peer.faulty === 'went-back' && !this.#rememberedByOthers.has(name);
    if (before !== undefined && before.body !== body && !excused)
      this.fail('1', `${peer.name} contradicts its own ${message.type} of epoch ${message.epoch}`);
    this.#said.set(name, { peer: peer.name, record, body });
  }

  /**
   * A peer's store goes back in time. What more than `faults` others hold of its words, any quorum that it asks tells it
   * (§4, restart rule): only those words bind it from here on.
   */
  onWentBack(peer: Peer): void {
    const value = this.values.get(this.latest)?.link.value;
    if (value === undefined) return;
    const faults = value.roster.length - this.#quorumOf(value);
    this.#rememberedByOthers.clear();
    for (const [name, said] of this.#said) {
      if (said.peer !== peer.name) continue;
      const holders = this.#world.peers.filter(({ faulty, home }) => {
        const bytes = faulty === null ? home.records.get(said.record) : undefined;
        return bytes !== undefined && hex((decodeRecord(bytes) as Carried).packet.body) === said.body;
      });
      if (holders.length > faults) this.#rememberedByOthers.add(name);
    }
  }

  #countPrevote({ epoch, round, value, by }: Vote): void {
    const name = `${epoch}/${round}/${value === null ? 'nil' : hex(value)}`;
    const voters = this.#prevoters.get(name) ?? new Set<number>();
    this.#prevoters.set(name, voters.add(by));
  }

  /** Buchman, Kwon, Milosevic 2018: whoever precommitted a value prevotes another only after a later quorum for that. */
  #checkLock(peer: Peer, vote: Vote): void {
    if (vote.value === null) return;
    const name = `${peer.name}/${vote.epoch}`;
    const value = hex(vote.value);
    const earlier = this.#precommits.get(name) ?? [];
    if (vote.type === 'precommit') {
      this.#precommits.set(name, [...earlier, { round: vote.round, value }]);
      return;
    }
    const lock = earlier.filter(({ round }) => round < vote.round).at(-1);
    if (lock === undefined || lock.value === value) return;
    const parent = this.values.get(vote.epoch - 1)?.link.value;
    if (parent === undefined) return;
    const bad = this.#world.peers.filter(({ faulty }) => faulty !== null);
    for (let round = lock.round; round < vote.round; round += 1) {
      const voters = new Set(this.#prevoters.get(`${vote.epoch}/${round}/${value}`));
      for (const { index } of bad) voters.add(index);
      if (voters.size >= this.#quorumOf(parent)) return;
    }
    this.fail('1', `${peer.name} prevoted against its lock in epoch ${vote.epoch}, round ${vote.round}`);
  }

  // ── statement 5 ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Why the group is not finished; null when every honest member has the same epoch, `from` or later, and its share. A store
   * that went back in time may have lost the secret of its listed epoch key: only reinstatement helps that peer (§4, §5).
   */
  unfinished(from: number): string | null {
    const epochs = new Set<number>();
    for (const peer of this.#world.peers) {
      if (peer.faulty !== null) continue;
      if (peer.driver === null) return `${peer.name} is down`;
      const { state } = peer.driver;
      if (selfIn(state, this.values.get(this.latest)?.link.value ?? headOf(state)) === undefined) continue;
      const { head, retired } = state.durable.own;
      epochs.add(head);
      if (head < from) return `${peer.name} is at epoch ${head}, not yet at ${from}`;
      if (retired < head) return `${peer.name} has not retired what is older than epoch ${head}`;
      if (!holdsShare(state)) return `${peer.name} has no share of epoch ${head}`;
    }
    return epochs.size > 1 ? `honest peers are at epochs ${[...epochs].join(', ')}` : null;
  }

  /** `n − faults`, by the formula of §1. */
  #quorumOf({ roster: { length: n }, threshold: k }: Value): number {
    const faults =
      this.#world.genesis.faultModel === 'byzantine'
        ? Math.min(Math.floor((n - 1) / 3), Math.floor((n - k) / 2))
        : Math.min(Math.floor((n - 1) / 2), n - k);
    return n - Math.max(0, faults);
  }
}
