/**
 * A group in memory behind `DaemonApi`: its members compute by the daemon's own jobs, and certify for real, but what is
 * ordered is decided at once.
 */

import { randomBytes } from 'node:crypto';
import { sealingKeyFromSeed } from '../../src/crypto/key-agreement.ts';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { publicOf, rsa } from '../../src/keys/rsa/kind.ts';
import { elementBytes } from '../../src/keys/rsa/numbers.ts';
import { type AuditExtent, emptyExtent } from '../../src/node/audit/entry.ts';
import { DaemonError } from '../../src/node/errors.ts';
import type { Home } from '../../src/node/home/home.ts';
import { identityFromBytes, identityFromSeed, peerIdOf } from '../../src/node/home/identity.ts';
import { type JobContext, runJob } from '../../src/node/jobs/change-jobs.ts';
import { runUseJob } from '../../src/node/jobs/use-jobs.ts';
import type { DecryptAnswer, SignAnswer } from '../../src/node/use/answers.ts';
import { abilitiesAtBest } from '../../src/node/views/ability.ts';
import { prospectsOf } from '../../src/node/views/prospects.ts';
import type {
  CreationView,
  DaemonApi,
  EpochView,
  KeyView,
  PeerView,
  PlanView,
  StatusView,
} from '../../src/node/views/view.ts';
import type { Job, KeySetting } from '../../src/protocol/machine/io.ts';
import { fingerprintOf } from '../../src/protocol/records/admission.ts';
import {
  dealingPublicSchema,
  dealingSchema,
  digestOfDealing,
} from '../../src/protocol/records/change-messages.ts';
import { decode, encode, hex, sameBytes } from '../../src/protocol/records/codec.ts';
import { draftOf, planOf } from '../../src/protocol/records/draft.ts';
import { checkFounding, type Link, precommitBody } from '../../src/protocol/records/link.ts';
import { hashOfOrder, type Order } from '../../src/protocol/records/order.ts';
import { type Packet, signPacket, verifyPacket } from '../../src/protocol/records/packet.ts';
import {
  explainChoice,
  faultsOf,
  type Member,
  memberAt,
  quorumOf,
} from '../../src/protocol/records/roster.ts';
import {
  checkUse,
  type DecryptBody,
  type SignBody,
  type UseRequest,
} from '../../src/protocol/records/use-request.ts';
import {
  ancestorsAfter,
  digestOfCommitments,
  hashOfValue,
  type KeyCommitments,
  type KeyRecord,
  operatorDealer,
  type Value,
} from '../../src/protocol/records/value.ts';
import { Listening, quietStatus } from '../support/fake-daemon.ts';

/** What the members' jobs are given. */
const context: JobContext = {
  cipher: 'aes',
  randomBytes: (length) => new Uint8Array(randomBytes(length)),
};

interface FakePeer {
  name: string;
  peer: string;
  seed: Uint8Array;
  sealing: { publicKey: Uint8Array; secretKey: Uint8Array };
}

const random32 = (): Uint8Array => new Uint8Array(randomBytes(32));

const newPeer = async (name: string): Promise<FakePeer> => ({
  name,
  peer: peerIdOf(await identityFromSeed(random32())),
  seed: random32(),
  sealing: sealingKeyFromSeed(random32()),
});

export class FakeGroup extends Listening implements DaemonApi {
  readonly home: Home;
  readonly members: FakePeer[] = [];
  readonly chain: Link[] = [];
  /** Names whose peers do not answer: no Attend, no partial. */
  readonly silent = new Set<string>();
  /** Indices that every value suspends from the next one on. */
  readonly suspended = new Set<number>();
  /** The next dealing comes too late: a plain refresh is decided before it, and the order stays pending. */
  refreshFirst = false;
  /** Commitments, as hex, of the dealings that came just before such a refresh, and of the last that were taken. */
  dealtInVain: string[] = [];
  dealt: string[] = [];
  /** A lying daemon: it shows Attends with one-time keys of its own making. */
  forgesAttends = false;
  /** Orders stay pending, as where too few members attend. */
  holds = false;
  dealingsTaken = 0;
  /** Who did wrong, by epoch. */
  readonly blamed = new Map<number, EpochView['blamed']>();
  /** What its status says instead. */
  shown: Partial<StatusView> = {};
  #waiting: FakePeer[] = [];
  #pending: Order[] = [];
  /** Received f(j) by key id and member index. */
  readonly #shares = new Map<string, Map<number, Uint8Array>>();

  private constructor(home: Home, self: FakePeer, others: FakePeer[]) {
    super();
    this.home = home;
    this.#waiting = [self, ...others];
  }

  static async create(home: Home, names: readonly string[]): Promise<FakeGroup> {
    const seed = home.readFirstEpochSeed();
    if (seed === null) throw new Error('a fresh home has its first epoch key');
    const own = peerIdOf(identityFromBytes(home.readIdentity()));
    const self = { name: home.readSettings().name, peer: own, seed, sealing: sealingKeyFromSeed(random32()) };
    return new FakeGroup(home, self, await Promise.all(names.map(newPeer)));
  }

  get head(): Value {
    return this.#headLink.value;
  }
  get #headLink(): Link {
    const link = this.chain.at(-1);
    if (link === undefined) throw new DaemonError('not-a-member', 'not founded yet');
    return link;
  }

  /** A peer with a new home waits under this name. */
  async joins(name: string): Promise<void> {
    this.#waiting.push(await newPeer(name));
  }

  fingerprint(name: string): string {
    const peer = [...this.#waiting, ...this.members].find((one) => one.name === name) as FakePeer;
    return fingerprintOf({
      cluster: this.home.cluster,
      peer: peer.peer,
      epochKey: ed25519FromSeed(peer.seed).publicKey,
    });
  }

  status(): StatusView {
    const value = this.chain.at(-1)?.value;
    const { genesis, cluster } = this.home;
    const n = value?.roster.length ?? 0;
    return {
      ...quietStatus,
      name: this.home.readSettings().name,
      peer: (this.members[0] ?? this.#waiting[0])?.peer ?? '',
      cluster: hex(cluster),
      clusterName: genesis.name,
      state: value === undefined ? 'waiting-for-admission' : 'member',
      index: value === undefined ? null : 1,
      epoch: value?.epoch ?? null,
      threshold: genesis.threshold,
      members: n,
      faults: value === undefined ? 0 : faultsOf(n, value.threshold, genesis.faultModel),
      quorum: value === undefined ? 0 : quorumOf(n, value.threshold, genesis.faultModel),
      faultModel: genesis.faultModel,
      choice: value === undefined ? null : explainChoice(n, value.threshold, genesis.faultModel),
      keys: value?.keys.length ?? 0,
      shareEpochs: value === undefined ? [] : [value.epoch],
      holders: this.members.map((member) => member.name),
      connected: this.members
        .slice(1)
        .filter(({ name }) => !this.silent.has(name))
        .map((member) => member.name),
      ...this.#abilities(value),
      ...this.shown,
    };
  }

  /** What its members can do when those that are not silent are up. */
  #abilities(value: Value | undefined): Pick<StatusView, 'roster' | 'prospects'> {
    if (value === undefined) return { roster: [], prospects: null };
    const { genesis } = this.home;
    const roster = abilitiesAtBest(genesis, value, ({ name }) => !this.silent.has(name));
    const choice = { threshold: value.threshold, faultModel: genesis.faultModel, keys: value.keys.length };
    return { roster, prospects: prospectsOf(roster, choice) };
  }

  peers(): PeerView[] {
    const { roster } = this.#abilities(this.chain.at(-1)?.value);
    const view = (peer: FakePeer, state: 'member' | 'waiting', at: number) => ({
      name: peer.name,
      peer: peer.peer,
      state,
      index: state === 'member' ? at + 1 : null,
      connected: !this.silent.has(peer.name),
      authenticated: true,
      self: at === 0 && (state === 'member' || this.chain.length === 0),
      fingerprint: this.fingerprint(peer.name),
      addresses: [],
      epochKey: hex(ed25519FromSeed(peer.seed).publicKey),
      ability: state === 'member' ? (roster[at] ?? null) : null,
    });
    return [
      ...this.members.map((peer, at) => view(peer, 'member', at)),
      ...this.#waiting.map((peer, at) => view(peer, 'waiting', at)),
    ];
  }

  async epoch(epoch: number): Promise<EpochView> {
    const view = this.newestEpochs().find((one) => one.epoch === epoch);
    if (view === undefined)
      throw new DaemonError(
        'unknown',
        `this peer knows nothing of epoch ${epoch}; the newest is ${this.head.epoch}`,
      );
    return view;
  }

  async epochs(limit?: number): Promise<EpochView[]> {
    return this.newestEpochs().slice(0, limit);
  }

  newestEpochs(): EpochView[] {
    return this.chain
      .map(({ value }) => ({
        epoch: value.epoch,
        value: hex(hashOfValue(value)),
        members: value.roster.map((member) => member.name),
        threshold: value.threshold,
        keys: value.keys.map((key) => key.name),
        dealt: value.epoch === 0 ? [] : value.roster.map((member) => member.name),
        didNotDeal: [],
        missing: [],
        contradicted: [],
        blamed: this.blamed.get(value.epoch) ?? [],
        pauses: [],
        round: value.epoch === 0 ? null : 0,
        decidedAtMs: 0,
        retired: true,
        retireProof:
          value.epoch === 0
            ? null
            : { ready: value.roster.map(({ name }) => name), trials: value.keys.map(({ name }) => name) },
        verificationKeys: [],
      }))
      .reverse();
  }

  audit(): AuditExtent {
    return emptyExtent;
  }

  keys(): KeyView[] {
    return (this.chain.at(-1)?.value.keys ?? []).map((key) => ({
      name: key.name,
      id: hex(key.id),
      kind: key.kind,
      use: key.use,
      public: hex(key.public),
      ...rsa.publicForms(key.public),
    }));
  }

  async invite(): Promise<string> {
    return 'holdfast1invitation';
  }

  async found(link: Link): Promise<void> {
    if (this.chain.length > 0) throw new DaemonError('refused', 'the cluster is founded already');
    checkFounding(this.home.genesis, link);
    for (const member of link.value.roster) {
      const peer = this.#waiting.find((one) => one.peer === member.peer) as FakePeer;
      if (!sameBytes(ed25519FromSeed(peer.seed).publicKey, member.epochKey))
        throw new Error('wrong epoch key');
      this.members.push(peer);
    }
    this.#waiting = this.#waiting.filter((peer) => !this.members.includes(peer));
    this.chain.push(link);
    this.change();
  }

  async submitOrder(order: Order): Promise<void> {
    draftOf(this.home.genesis, this.home.cluster, this.head, [order]);
    this.#pending = [order];
    if (order.body.actions.every(({ type }) => type !== 'create-key') && !this.holds) this.#decide();
    this.change();
  }

  creation(orderHash: Uint8Array): CreationView {
    const orders = this.#pending.filter((order) => sameBytes(hashOfOrder(order), orderHash));
    if (orders.length === 0) return { head: this.#headLink, plan: null, attends: [], orders: [] };
    const plan = this.#plan();
    const attends = this.members.flatMap(({ name, seed, sealing }, at) => {
      if (this.silent.has(name)) return [];
      const { publicKey: epochKey } = ed25519FromSeed(seed);
      const body = {
        type: 'attend',
        by: at + 1,
        epoch: this.head.epoch + 1,
        plan,
        epochKey,
        sealingKey: sealing.publicKey,
      };
      return [signPacket(this.home.cluster, this.forgesAttends ? random32() : seed, encode(body))];
    });
    return { head: this.#headLink, plan, attends, orders };
  }

  plans(): PlanView[] {
    const attending = this.members.map((_, at) => at + 1);
    return this.#pending.map((order) => ({ plan: hex(hashOfOrder(order)), orders: 1, attending }));
  }

  async submitDealings(packets: readonly Packet[]): Promise<void> {
    if (this.refreshFirst) {
      this.refreshFirst = false;
      this.dealtInVain = commitmentsIn(packets);
      const kept = this.#pending;
      this.refresh();
      this.#pending = kept;
      return this.change();
    }
    this.dealingsTaken += packets.length;
    this.dealt = commitmentsIn(packets);
    for (const packet of packets) this.#receive(packet);
    const [draft] = this.#draft().created;
    if (
      draft === undefined ||
      this.#shares.get(hex(draft.key.id))?.size !== this.members.length - this.silent.size
    )
      return;
    this.#decide();
    this.change();
  }

  /** What was held is carried out. */
  carryOut(): void {
    this.#decide();
    this.change();
  }

  async links(from: number): Promise<Link[]> {
    return this.chain.slice(from);
  }

  refresh(): void {
    this.#pending = [];
    this.#decide();
    this.change();
  }

  async sign(request: UseRequest<SignBody>): Promise<SignAnswer> {
    const { setting, given } = this.#partials(request);
    const { epoch } = this.head;
    const partials = given.flatMap(({ index, result }) =>
      result.kind === 'use-partial' ? [{ by: index, partial: result.partial, proof: null }] : [],
    );
    const combined = runUseJob(
      { kind: 'use-combine', setting, commitments: [], epoch, body: request.body, partials, failed: [] },
      context,
    );
    if (combined.kind !== 'use-combine' || combined.signature === null)
      throw new Error('the shares do not sign');
    return { signature: combined.signature, epoch, signers: given.map(({ name }) => name) };
  }

  async decrypt(request: UseRequest<DecryptBody>): Promise<DecryptAnswer> {
    const { setting, given } = this.#partials(request);
    const partials = given.flatMap(({ index, name, result }) =>
      result.kind === 'use-sealed-partial' ? [{ index, name, envelope: result.envelope }] : [],
    );
    return { ...setting, epoch: this.head.epoch, commitments: [], partials };
  }

  /** What the first `k` who are not silent compute for a request that the rules allow. */
  #partials({ body, signature }: UseRequest) {
    const { key } = checkUse(this.head, this.home.cluster, { body, signature }, Date.now());
    const up = this.members
      .map(({ name }, at) => ({ name, index: at + 1 }))
      .filter(({ name }) => !this.silent.has(name));
    const { threshold, epoch } = this.head;
    if (up.length < threshold) {
      const details = Object.fromEntries([...this.silent].map((name) => [name, 'not connected']));
      throw new DaemonError('not-enough-peers', `${up.length} of ${threshold} peers answered`, details);
    }
    const setting = this.#setting(key);
    const given = up.slice(0, threshold).map(({ index, name }) => {
      const share = this.#shares.get(hex(key.id))?.get(index) as Uint8Array;
      const job = { kind: 'use-partial', setting, share, index, epoch, body, prove: false } as const;
      return { index, name, result: runUseJob(job, context) };
    });
    return { setting, given };
  }

  #draft() {
    return draftOf(this.home.genesis, this.home.cluster, this.head, this.#pending);
  }
  #plan(): Uint8Array {
    return planOf(this.head, this.#draft(), this.#pending);
  }
  #setting(key: KeyRecord): KeySetting {
    return { key, threshold: this.head.threshold, membersMax: this.home.genesis.membersMax };
  }

  /** What a peer does with the operator's dealing: signature, envelope, range and commitments. */
  #receive(packet: Packet): void {
    const { cluster } = this.home;
    const { receiver, public: publicBytes, envelopes } = decode(dealingSchema, packet.body);
    const half = decode(dealingPublicSchema, publicBytes);
    const part = half.parts[0] as (typeof half.parts)[number];
    const created = this.#draft().created.find(({ key }) => sameBytes(key.id, part.key));
    if (created === undefined || !sameBytes(half.plan, this.#plan()))
      throw new DaemonError('refused', 'another plan');
    if (!verifyPacket(cluster, created.action.dealingKey, packet))
      throw new DaemonError('refused', 'the dealing is not of the dealer that the order names');
    const [checked] = this.#check({
      kind: 'check',
      tie: { cluster, epoch: half.epoch, plan: half.plan, receiver },
      sealingSecret: (this.members[receiver - 1] as FakePeer).sealing.secretKey,
      items: [
        {
          digest: digestOfDealing(publicBytes),
          dealer: operatorDealer,
          parts: envelopes.map((envelope) => ({
            setting: this.#setting(created.key),
            commitments: part.commitments,
            creation: true,
            key: part.key,
            joint: false,
            envelope,
          })),
        },
      ],
    });
    const [share] = checked?.numbers ?? [];
    if (share === undefined) throw new DaemonError('refused', 'a dealing that is not whole and true');
    const held = this.#shares.get(hex(part.key)) ?? new Map<number, Uint8Array>();
    this.#shares.set(hex(part.key), held.set(receiver, share));
  }

  #check(job: Extract<Job, { kind: 'check' }>) {
    const result = runJob(job, context);
    return result.kind === 'check' ? result.results : [];
  }

  #suspensions(roster: readonly Member[]): Value['suspended'] {
    const packet = { body: new Uint8Array(1), signature: new Uint8Array(64) };
    return roster
      .filter(({ index }) => this.suspended.has(index))
      .map(({ index }) => ({ index, first: packet, second: packet }));
  }

  /** The next value, with the precommits of all who are not silent. */
  #decide(): void {
    const draft = this.#draft();
    const commitments: KeyCommitments = draft.keys.map((key) => [elementBytes(publicOf(key.public).base)]);
    const value: Value = {
      epoch: this.head.epoch + 1,
      ancestors: ancestorsAfter(this.head),
      plan: this.#plan(),
      accepted: [],
      roster: draft.roster,
      threshold: draft.threshold,
      keys: draft.keys,
      clients: draft.clients,
      suspended: this.#suspensions(draft.roster),
      lastOrder: draft.lastOrder,
      commitments: digestOfCommitments(commitments),
    };
    const votes = this.members.flatMap(({ name, seed }, at) => {
      const body = precommitBody(at + 1, value.epoch, 0, hashOfValue(value));
      return this.silent.has(name) || this.head.roster[at] === undefined
        ? []
        : [{ by: at + 1, signature: signPacket(this.home.cluster, seed, body).signature }];
    });
    this.chain.push({ value, certificate: { type: 'precommits', round: 0, votes }, commitments });
    this.#pending = [];
    for (const index of draft.reinstated) {
      const peer = this.#waiting.find((one) => one.peer === memberAt(draft.roster, index)?.peer) as FakePeer;
      this.members[index - 1] = peer;
      this.#waiting = this.#waiting.filter((one) => one !== peer);
    }
  }
}

/** Every commitment of some dealings, once. */
const commitmentsIn = (packets: readonly Packet[]): string[] => [
  ...new Set(
    packets.flatMap(({ body }) =>
      decode(dealingPublicSchema, decode(dealingSchema, body).public).parts.flatMap(({ commitments }) =>
        commitments.map(hex),
      ),
    ),
  ),
];
