/**
 * The oracle sees every disk, every state and every secret, and checks what must always hold (protocol §7)
 * after every step, by its own formulas where the code under test has one too. It looks only at what changed
 * since it last looked.
 */

import { decode as decodeRecord } from 'cborg';
import { decodeSigned } from '../../crypto/integers.ts';
import { checkSubShare } from '../../keys/rsa/dealing.ts';
import { trialBlock } from '../../keys/rsa/encoding.ts';
import { modPow } from '../../keys/rsa/engine.ts';
import { interpolate } from '../../keys/rsa/sharing.ts';
import type { Driver } from '../../node/driver/driver.ts';
import type { StoreTransaction } from '../../node/store/store.ts';
import { isCertain } from '../../protocol/change/accusation.ts';
import type { Output } from '../../protocol/machine/io.ts';
import { holdsShare, selfIn } from '../../protocol/machine/queries.ts';
import type { CoreState, Durable } from '../../protocol/machine/state.ts';
import {
  type Carried,
  dealingPublicSchema,
  type Message,
  messageSchema,
  prevoteSchema,
  type RetireProof,
  readySchema,
  type Vote,
} from '../../protocol/records/change-messages.ts';
import { decode, encode, fromHex, hex, numberOf, sameBytes } from '../../protocol/records/codec.ts';
import { type Link, precommitBody } from '../../protocol/records/link.ts';
import { forcedEvictionIn, type Order } from '../../protocol/records/order.ts';
import { type Packet, verifyPacket } from '../../protocol/records/packet.ts';
import { type Of, recoveryMessageSchema } from '../../protocol/records/recovery-messages.ts';
import { hashOfValue, publicOf, type Value } from '../../protocol/records/value.ts';
import { parametersOf } from '../../sealing/numbers.ts';
import { tooManyLie } from '../world/run-options.ts';
import type { Peer, World } from '../world/world.ts';
import { Growth } from './growth.ts';
import { Memories } from './memories.ts';
import { ableAfter, unexplained } from './orders-done.ts';

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
      : message.type === 'have'
        ? null
        : message.type === 'ready'
          ? `readys/${message.by}`
          : `votes/${message.type}/${message.round}/${message.by}`;

/** Agreement runs anew in a forced eviction (§5): what was said in the ordinary instance binds nobody there. */
const instanceOf = (message: Said): string =>
  'instance' in message && message.instance !== null ? hex(message.instance) : 'ordinary';

/** What one member may make another store, all messages of an undecided change included. */
const sealedBytesMax = (members: number) => 400_000 + members * members * 40_000;
const volatileEntriesMax = 2_000;
/** The newest ones, and those of the shares that are held before Retire. */
const linksMax = 8;

/** What lets whoever reads it compute shares of a change (§4.5), and goes with the older shares. */
const secretsOfAChange = new Set(['subShares', 'dealt', 'attended', 'outbox']);

export class Oracle {
  violation: Violation | null = null;
  /** Every certified value, by epoch. */
  readonly values = new Map<number, { hash: string; link: Link; by: string }>();
  readonly #world: World;
  readonly #clusterId: Uint8Array;
  readonly #secretOf: (modulus: Uint8Array) => bigint;
  readonly #seen = new Map<
    string,
    {
      links: object;
      shares: object;
      subShares: object;
      accusations: object;
      blames: object;
      plans: object;
      head: number;
    }
  >();
  /** Shares that honest peers hold: `epoch/key` → index → share. */
  readonly #shares = new Map<string, Map<number, bigint>>();
  readonly #acceptedIn = new Map<string, number>();
  /** What honest peers published, by peer, type, epoch, round: a second, different one is a contradiction. */
  readonly #said = new Map<string, { peer: string; record: string; body: string }>();
  readonly #rememberedByOthers = new Set<string>();
  readonly #prevoters = new Map<string, Set<number>>();
  readonly #precommits = new Map<string, Array<{ round: number; value: string }>>();
  readonly #checkedProofs = new Set<string>();
  /** `run/index` of an honest helper in a choice that an honest sum was given for → that choice. */
  readonly #summed = new Map<string, string>();
  /** Each once: a mask's commitments → its run, `run/helper` → commitments, a grant's key → the run that it served. */
  readonly #masks = new Map<string, string>();
  /** `index/sealing key` that an honest member granted, and names of runs that an honest member began. */
  readonly #granted = new Set<string>();
  /** Plans that honest members knew, with their orders. */
  readonly #plans = new Map<string, readonly Order[]>();
  readonly #memories = new Memories();
  readonly growth: Growth;
  /** What each peer's disk said last that it had retired. */
  readonly #retired = new Map<string, number>();
  latest = 0;

  constructor(world: World, clusterId: Uint8Array, secretOf: (modulus: Uint8Array) => bigint) {
    this.#world = world;
    this.#clusterId = clusterId;
    this.#secretOf = secretOf;
    this.growth = new Growth(world.genesis.membersMax);
  }

  /** Beyond `faults` liars only secrecy, certificates and peers' lives are promised (§8). */
  fail(statement: string, what: string): void {
    if (tooManyLie(this.#world.options) && !['1', '3', '6'].includes(statement)) return;
    this.violation ??= new Violation(statement, what);
  }

  // ── statements 1 to 3: what peers hold certificates and shares of
  // ───────────────────────────────────────────────────

  /** After every step of a peer. */
  onChange(peer: Peer): void {
    const { state } = peer.driver as Driver;
    if (peer.faulty !== null) return;
    const seen = this.#seen.get(peer.name);
    const { links, shares, subShares, accusations, blames, plans, own } = state.durable;
    if (seen?.plans !== plans)
      for (const [plan, { orders }] of Object.entries(plans)) this.#plans.set(plan, orders);
    if (seen?.links !== links) this.#checkLinks(peer, state);
    if (seen?.shares !== shares || seen.head !== own.head) this.#checkShares(peer, state);
    if (seen?.subShares !== subShares)
      this.#checkSubShares(peer, state, seen?.subShares as Durable['subShares']);
    this.#seen.set(peer.name, { links, shares, subShares, accusations, blames, plans, head: own.head });
    if (seen?.accusations !== accusations) this.#checkAccusations(peer, state);
    if (seen?.blames !== blames) this.#checkBlames(peer, state);
    // A joiner begins with the links since its admission.
    if (own.oldest === 0 && Object.keys(links).length > linksMax)
      this.fail('6', `${peer.name} keeps ${Object.keys(links).length} links outside its archive`);
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
    const remaining = certificate.forced ? (forcedEvictionIn(certificate.forced)?.remaining ?? null) : null;
    const deciders = parent.roster.filter(({ index }) => remaining?.includes(index) ?? true);
    for (const { by, signature } of certificate.votes) {
      const { forced, round } = certificate;
      const body = precommitBody(by, value.epoch, round, hashOfValue(value), forced ? value.plan : null);
      const member = deciders.find(({ index }) => index === by);
      if (member && verifyPacket(this.#clusterId, member.epochKey, { body, signature })) voted.add(by);
    }
    if (voted.size < this.#quorumOf({ roster: deciders, threshold: parent.threshold }))
      this.fail('1', `${peer.name} took up epoch ${value.epoch} on ${voted.size} votes`);
    this.#checkAncestry(value, parent);
    this.#checkOrders(value, parent);
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

  /** Each order was carried out whole, nothing besides, and the next change finds enough members. */
  #checkOrders(value: Value, parent: Value): void {
    const orders = this.#plans.get(hex(value.plan));
    if (orders === undefined) return;
    const wrong = unexplained(parent, orders, value);
    if (wrong !== null) this.fail('7', `epoch ${value.epoch} ${wrong}`);
    const able = ableAfter(parent, value, this.#world.genesis.absentEpochsMax);
    if (orders.length > 0 && able < this.#quorumOf(value))
      this.fail(
        '5',
        `orders left epoch ${value.epoch} with ${able} of ${value.roster.length} that may attend`,
      );
  }

  /** A value names those before it, and its orders were signed on one of them; each was new. */
  #checkAncestry(value: Value, parent: Value): void {
    const { epoch, ancestors } = value;
    const isAt = (hash: Uint8Array, at: number) => this.values.get(at)?.hash === hex(hash);
    if (ancestors.length !== Math.min(epoch, 100) || !ancestors.every((hash, i) => isAt(hash, epoch - 1 - i)))
      this.fail('7', `the value of epoch ${epoch} names other values than came before it`);
    for (const { body } of this.#plans.get(hex(value.plan)) ?? []) {
      if (!isAt(body.ancestor, body.ancestorEpoch) || body.ancestorEpoch >= epoch)
        this.fail('7', `epoch ${epoch} carries out an order that was signed on another branch`);
      if (body.sequence <= parent.lastOrder || body.sequence > value.lastOrder)
        this.fail('7', `epoch ${epoch} carries out order ${body.sequence} out of turn`);
    }
  }

  /** Every share lies on the one polynomial of its epoch, whose value at 0 is the secret: so any k of them sign. */
  #checkShares(peer: Peer, state: CoreState): void {
    const index = peer.index;
    for (const [name, shares] of Object.entries(state.durable.shares)) {
      const value = this.values.get(Number(name))?.link.value;
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
        if (this.#at0(new Map([...others, [index, share]])) !== secret)
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
      if (before?.[digest] === held) continue;
      if (held.epoch <= state.durable.own.retired)
        this.fail('3', `${peer.name} holds a sub-share of epoch ${held.epoch}, which it has retired`);
      if (held.dealer === 0) continue;
      const half = state.durable.publics[digest];
      const parent = this.values.get(held.epoch - 1)?.link.value;
      const dealer = parent?.roster.find((member) => member.index === held.dealer)?.peer;
      if (this.#world.peers.find((each) => each.peer === dealer)?.faulty !== 'lies') continue;
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

  /** While at most `faults` are faulty, what is certain is true: no honest dealer is accused by more than `faults`. */
  #checkAccusations(peer: Peer, state: CoreState): void {
    for (const name of Object.keys(state.durable.accusations)) {
      const [epoch, dealer] = name.split('/').map(Number) as [number, number];
      const accused = this.values
        .get(epoch - 1)
        ?.link.value.roster.find(({ index }) => index === dealer)?.peer;
      const honest = this.#world.peers.some((each) => each.peer === accused && each.faulty === null);
      if (honest && isCertain(state, epoch, dealer))
        this.fail('4', `${peer.name} holds it for certain that honest member ${dealer} dealt falsely`);
    }
  }

  /** Nobody honest is ever blamed, whatever crashes, is lost or comes late. */
  #checkBlames(peer: Peer, state: CoreState): void {
    for (const { epoch, by, kind } of Object.values(state.durable.blames)) {
      const { roster } = this.values.get(epoch - 1)?.link.value ?? { roster: [] };
      const blamed = roster.find(({ index }) => index === by)?.peer;
      if (this.#world.peers.some((each) => each.peer === blamed && each.faulty === null))
        this.fail('4', `${peer.name} blames honest member ${by} for a ${kind} in epoch ${epoch}`);
      if (by === 0) this.fail('4', `${peer.name} blames the honest dealer of a new key in epoch ${epoch}`);
    }
  }

  // ── statement 4, and what may be erased when: what the disks hold
  // ───────────────────────────────────────────────────

  /** After every durable write. */
  onDurable(peer: Peer, { puts, deletes }: StoreTransaction): void {
    if (peer.faulty !== null) return;
    const { records } = peer.home;
    const erased = deletes.filter((key) => key.startsWith('shares/'));
    for (const key of erased) this.#checkErasure(peer, Number(key.slice(7)));
    const own = puts.find(([key]) => key === 'own');
    if (own !== undefined) {
      const fresh = new Set(puts.map(([key]) => key));
      this.#checkNothingOldIsLeft(peer, decodeRecord(own[1]) as Durable['own'], fresh);
    }
    if (deletes.some((key) => /^(shares|subShares)\//.test(key)))
      this.#checkEnoughHolders(`when ${peer.name} erased something`);
    let bytes = 0;
    for (const [key, value] of records) if (!key.startsWith('chain/')) bytes += value.length;
    if (bytes > sealedBytesMax(this.#world.peers.length))
      this.fail('6', `${peer.name} was made to store ${bytes} bytes`);
    const { head } = decodeRecord(records.get('own') ?? encode({ head: 0 })) as Durable['own'];
    const grown = this.growth.check(peer, head, this.values.get(head)?.link.value);
    if (grown !== null) this.fail('6', grown);
  }

  #checkErasure(peer: Peer, epoch: number): void {
    const { records } = peer.home;
    for (let later = this.latest; later > epoch; later -= 1) {
      const bytes = records.get(`chain/${String(later).padStart(9, '0')}-retire`);
      if (bytes !== undefined) return this.#checkRetireProof(peer, decodeRecord(bytes) as RetireProof);
    }
    // The value that evicts it may be known to nobody else yet.
    const own = records.get(`chain/${String(this.latest + 1).padStart(9, '0')}`);
    const newest = own ? (decodeRecord(own) as Link).value : this.values.get(this.latest)?.link.value;
    if (newest?.roster.some((member) => member.peer === peer.peer))
      this.fail('4', `${peer.name} erased its share of epoch ${epoch} without a retire proof`);
  }

  #checkRetireProof(peer: Peer, proof: RetireProof): void {
    const known = this.values.get(proof.epoch);
    if (known === undefined) return this.fail('4', `${peer.name} retired an epoch that was not decided`);
    const name = [proof.epoch, ...proof.readys.map(({ signature }) => signature), ...proof.signatures]
      .map((part) => (typeof part === 'number' ? part : hex(part)))
      .join();
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
    value.keys.forEach((key, at) => {
      const { modulus, exponent } = publicOf(key);
      const signature = numberOf(proof.signatures[at] ?? new Uint8Array());
      if (modPow(signature, exponent, modulus) !== trialBlock(fromHex(known.hash), key.id, modulus))
        this.fail('4', `${peer.name} erased on a retire proof whose shares never signed`);
    });
  }

  /** What a crash cut off is seen by nobody: a Retire of that moment must not be taken for one of the next write. */
  onCrash(peer: Peer): void {
    this.#retired.delete(peer.name);
  }

  /**
   * After Retire nothing secret is left but the newest share, its epoch key, and what the same step made for
   * the next change.
   */
  #checkNothingOldIsLeft(peer: Peer, own: Durable['own'], fresh: ReadonlySet<string>): void {
    const before = this.#retired.get(peer.name);
    this.#retired.set(peer.name, own.retired);
    if (own.retired !== own.head) return;
    const retiredNow = before !== undefined && before < own.retired;
    const roster = this.values.get(own.head)?.link.value.roster ?? [];
    const self = roster.find((member) => member.peer === peer.peer);
    for (const key of peer.home.records.keys()) {
      const [section = '', rest = ''] = key.split('/');
      const old =
        section === 'shares'
          ? Number(rest) < own.retired
          : retiredNow &&
            !fresh.has(key) &&
            (secretsOfAChange.has(section) ||
              (section === 'epochSecrets' && (self === undefined || rest !== hex(self.epochKey))));
      if (old) this.fail('3', `${peer.name} retired epoch ${own.retired} and still holds ${key}`);
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

  // ── what leaves a peer
  // ──────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Everything that a peer publishes is its own: durable before it left, and never contradicted (§4, the four
   * rules).
   */
  onOutput(peer: Peer, output: Output): void {
    const forgotten = this.#memories.judge(peer, output, this.#world.options.liars);
    if (forgotten !== null) this.fail('1', forgotten);
    if (output.type === 'send' && output.frame.type === 'recovery')
      return this.#checkRecovery(peer, output.frame.packet);
    if (output.type === 'rule' && output.rule === 'muted' && peer.faulty === null)
      this.fail('5', `${peer.name} was silenced though its store never went back in time`);
    if (output.type === 'refused') return this.#checkReproach(peer, output);
    if (output.type !== 'publish' || output.frame.type !== 'message') return;
    const message = decode(messageSchema, output.frame.message.packet.body);
    if (message.type === 'dealing') return;
    if (message.type === 'prevote') this.#countPrevote(message);
    if (peer.faulty !== 'lies') this.#checkOnce(peer, message);
    if (peer.faulty !== null) return;
    if (!this.#isDurable(peer, message))
      this.fail('4', `${peer.name} sent its ${message.type} of epoch ${message.epoch} before it was durable`);
    if (message.type === 'prevote' || message.type === 'precommit') this.#checkLock(peer, message);
    if (message.type === 'prevote') this.#checkSupport(peer, message);
  }

  /** Whoever is reproached often is cut off: so no honest peer ever is by another one. */
  #checkReproach(peer: Peer, { from, action, why }: Extract<Output, { type: 'refused' }>): void {
    const other = this.#world.peers.find((each) => each.peer === from);
    if (action === 'reject' && peer.faulty === null && other?.faulty === null)
      this.fail('5', `${peer.name} reproached ${other.name}, which is honest: ${why}`);
  }

  #checkRecovery(peer: Peer, packet: Packet): void {
    if (peer.faulty !== null) return;
    const message = decode(recoveryMessageSchema, packet.body);
    if (message.type === 'recover-grant') this.#granted.add(`${message.by}/${hex(message.sealingKey)}`);
    if (message.type === 'recover-run') this.#granted.add(hex(message.run));
    if (message.type === 'recover-mask') this.#checkMask(peer, message);
    if (message.type === 'recover-sum') this.#checkSum(peer, message);
  }

  /**
   * A mask hides a share once: a fresh one for each run, one run for each grant, asked for by the member that
   * it is for and sealed to keys that its helpers granted (§5.2).
   */
  #checkMask(peer: Peer, message: Of<'recover-mask'>): void {
    const run = hex(message.run);
    const { parts } = decode(dealingPublicSchema, message.public);
    const commitments = hex(encode(parts.map((part) => part.commitments)));
    this.#once(commitments, run, `${peer.name} dealt one mask in two runs`);
    this.#once(`${run}/${message.by}`, commitments, `${peer.name} dealt two masks in one run`);
    const { helping } = (peer.driver as Driver).state.volatile.recovery;
    const part = Object.values(helping).find((each) => sameBytes(each.run, message.run));
    if (part === undefined) return;
    this.#once(hex(part.sealingSecret), run, `a grant of ${peer.name} served two runs`);
    if (this.#world.peerAt(part.recoverer).faulty === null && !this.#granted.has(run))
      this.fail('3', `${peer.name} dealt a mask for a run that member ${part.recoverer} never began`);
    for (const { index, sealingKey } of part.helpers)
      if (this.#world.peerAt(index).faulty === null && !this.#granted.has(`${index}/${hex(sealingKey)}`))
        this.fail('3', `${peer.name} dealt a mask to a key that member ${index} never granted`);
  }

  #once(name: string, what: string, fault: string): void {
    const before = this.#masks.get(name) ?? what;
    if (before !== what) this.fail('3', fault);
    this.#masks.set(name, what);
  }

  /**
   * Sums for two choices of one run have no honest mask in common: else whoever recovers, with up to t − 1
   * helpers, could combine them so that masks cancel and shares do not (statement 3).
   */
  #checkSum(peer: Peer, message: Of<'recover-sum'>): void {
    const { helping } = (peer.driver as Driver).state.volatile.recovery;
    const part = Object.values(helping).find(({ run }) => sameBytes(run, message.run));
    const choice = hex(message.choice);
    for (const { index } of part?.choice?.helpers ?? []) {
      if (this.#world.peerAt(index).faulty !== null) continue;
      const name = `${hex(message.run)}/${index}`;
      const before = this.#summed.get(name) ?? choice;
      if (before !== choice)
        this.fail(
          '3',
          `${peer.name} gave its sum for another choice of a run than the one with member ${index}`,
        );
      this.#summed.set(name, choice);
    }
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
    const name = `${peer.name}/${message.epoch}/${instanceOf(message)}/${record}`;
    const body = hex(encode(message));
    const before = this.#said.get(name);
    const excused = peer.faulty === 'went-back' && !this.#rememberedByOthers.has(name);
    if (before !== undefined && before.body !== body && !excused)
      this.fail('1', `${peer.name} contradicts its own ${message.type} of epoch ${message.epoch}`);
    this.#said.set(name, { peer: peer.name, record, body });
  }

  /**
   * A peer's store goes back in time. What more than `faults` others hold of its words, any quorum that it
   * asks tells it (§4, restart rule): only those words bind it from here on.
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

  /**
   * Who prevoted a value in a round, faulty members always. A vote that was written before a crash is told by later
   * re-sends only, so its author's disk is looked at as well.
   */
  #prevotersOf(epoch: number, round: number, value: string): Set<number> {
    const voters = new Set(this.#prevoters.get(`${epoch}/${round}/${value}`));
    for (const { index, faulty, home } of this.#world.peers) {
      const bytes = home.records.get(`votes/prevote/${round}/${index}`);
      if (faulty !== null) voters.add(index);
      if (faulty !== null || bytes === undefined) continue;
      const vote = decode(prevoteSchema, (decodeRecord(bytes) as Carried).packet.body);
      if (vote.epoch === epoch && vote.value !== null && hex(vote.value) === value) voters.add(index);
    }
    return voters;
  }

  /**
   * Buchman, Kwon, Milosevic 2018: whoever precommitted a value prevotes another only after a later quorum
   * for that.
   */
  #checkLock(peer: Peer, vote: Vote): void {
    if (vote.value === null) return;
    const name = `${peer.name}/${vote.epoch}/${instanceOf(vote)}`;
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
    for (let round = lock.round; round < vote.round; round += 1)
      if (this.#prevotersOf(vote.epoch, round, value).size >= this.#quorumOf(parent)) return;
    this.fail('1', `${peer.name} prevoted against its lock in epoch ${vote.epoch}, round ${vote.round}`);
  }

  /**
   * The paper's line 28: whoever prevotes a value that is proposed again, a quorum prevoted it in the round
   * that is named.
   */
  #checkSupport(peer: Peer, { epoch, round, value, instance }: Vote): void {
    const proposal = (peer.driver as Driver).state.durable.proposals[round]?.message;
    const parent = this.values.get(epoch - 1)?.link.value;
    if (value === null || instance !== null || parent === undefined) return;
    if (proposal?.epoch !== epoch || proposal.validRound === -1) return;
    const voters = this.#prevotersOf(epoch, proposal.validRound, hex(value));
    if (voters.size < this.#quorumOf(parent))
      this.fail('1', `${peer.name} prevoted again for what ${voters.size} members prevoted before`);
  }

  /**
   * §8: what more than `faults` liars hold of one epoch, fewer than k shares and each on the polynomial,
   * gives no secret.
   */
  checkLiarsShares(): void {
    const liars = this.#world.peers.filter(({ faulty }) => faulty === 'lies');
    const { link } = this.values.get(this.latest) ?? {};
    for (const key of link?.value.keys ?? [])
      for (const { link: known } of this.values.values()) {
        const { epoch, threshold } = known.value;
        const shares = liars.flatMap(({ index, driver }): Array<[number, bigint]> => {
          const share = driver?.state.durable.shares[epoch]?.[hex(key.id)];
          return share === undefined ? [] : [[index, decodeSigned(share)]];
        });
        if (shares.length >= threshold)
          this.fail('3', `liars hold ${shares.length} shares of epoch ${epoch}`);
        if (shares.length > 0 && this.#at0(new Map(shares)) === this.#secretOf(key.modulus))
          this.fail('3', `${shares.length} shares of liars sign in epoch ${epoch}`);
      }
  }

  /** Statement 3 by the numbers: k shares, fewer than k of them of any one epoch, do not give the secret. */
  checkMixedEpochs(random: () => number): void {
    for (const key of this.values.get(this.latest)?.link.value.keys ?? []) {
      const secret = this.#secretOf(key.modulus);
      const held = [...this.values.values()].flatMap(({ link: { value } }) => {
        const shares = this.#shares.get(`${value.epoch}/${hex(key.id)}`) ?? new Map<number, bigint>();
        return [...shares].map(([index, share]) => ({
          epoch: value.epoch,
          k: value.threshold,
          index,
          share,
        }));
      });
      for (let mixture = 0; mixture < 12; mixture += 1) {
        const drawn = [...held].sort(() => random() - 0.5);
        const k = Math.min(...drawn.map((each) => each.k));
        const chosen = new Map<number, bigint>();
        const perEpoch = new Map<number, number>();
        for (const { epoch, index, share } of drawn) {
          const count = perEpoch.get(epoch) ?? 0;
          if (chosen.size === k || chosen.has(index) || count === k - 1) continue;
          chosen.set(index, share);
          perEpoch.set(epoch, count + 1);
        }
        if (chosen.size < k || perEpoch.size < 2) continue;
        if (this.#at0(chosen) === secret)
          this.fail('3', `shares of epochs ${[...perEpoch.keys()].join(', ')} sign together`);
      }
    }
  }

  #at0(shares: ReadonlyMap<number, bigint>): bigint | null {
    try {
      return interpolate(shares, 0, this.#world.genesis.membersMax);
    } catch {
      return null; // Not even an integer.
    }
  }

  // ── statement 5
  // ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Why the group is not finished; null when every honest member has the same epoch, `from` or later, and its
   * share. A store that went back in time may have lost the secret of its listed epoch key: only
   * reinstatement helps that peer (§4, §5).
   */
  unfinished(from: number): string | null {
    const epochs = new Set<number>();
    for (const peer of this.#world.peers) {
      const newest = this.values.get(this.latest)?.link.value;
      if (peer.faulty !== null || !newest?.roster.some((member) => member.peer === peer.peer)) continue;
      if (peer.driver === null) return `${peer.name} is down`;
      const { state } = peer.driver;
      const { head, retired } = state.durable.own;
      epochs.add(head);
      if (head < from) return `${peer.name} is at epoch ${head}, not yet at ${from}`;
      if (retired < head) return `${peer.name} has not retired what is older than epoch ${head}`;
      if (!holdsShare(state)) return `${peer.name} has no share of epoch ${head}`;
    }
    return epochs.size > 1 ? `honest peers are at epochs ${[...epochs].join(', ')}` : null;
  }

  /** Whether anybody attends the next change already. */
  isUnderWay(): boolean {
    return this.#world.peers.some(
      ({ faulty, driver }) =>
        faulty === null && driver !== null && Object.keys(driver.state.durable.attends).length > 0,
    );
  }

  /** `n − faults`, by the formula of §1. */
  #quorumOf({ roster: { length: n }, threshold: k }: Pick<Value, 'roster' | 'threshold'>): number {
    const faults =
      this.#world.genesis.faultModel === 'byzantine'
        ? Math.min(Math.floor((n - 1) / 3), Math.floor((n - k) / 2))
        : Math.min(Math.floor((n - 1) / 2), n - k);
    return n - Math.max(0, faults);
  }
}
