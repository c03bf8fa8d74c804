/**
 * The oracle sees every disk, state and secret. After every step it checks what must always hold (protocol
 * §7). It has its own formulas for facts that the code under test computes too. It looks only at changed
 * state, and gives each kind of change to a watcher. It checks the bounds (statement 6) itself.
 */

import type { Driver } from '../../node/driver/driver.ts';
import type { StoreTransaction } from '../../node/store/store.ts';
import type { Durable } from '../../protocol/machine/durable-state.ts';
import type { Output } from '../../protocol/machine/io.ts';
import { messageSchema } from '../../protocol/records/change-messages.ts';
import { decode } from '../../protocol/records/codec.ts';
import { decodeStored, encodeStored } from '../../protocol/records/stored.ts';
import type { KeyRecord } from '../../protocol/records/value.ts';
import type { Peer, World } from '../world/world.ts';
import { Decisions } from './decisions.ts';
import { Erasure } from './erasure.ts';
import { Facts } from './facts.ts';
import { Growth } from './growth.ts';
import { checkAccusations, checkBlames, checkReproach } from './honest-names.ts';
import type { KeyOracle } from './key-oracles.ts';
import { Memories } from './memories.ts';
import { Recoveries } from './recovery.ts';
import { Shares } from './shares.ts';
import { Votes } from './votes.ts';
import { Words } from './words.ts';

/** The most bytes that others may make a member store, with all messages of an undecided change. */
const sealedBytesMax = (members: number) => 400_000 + members * members * 40_000;
const volatileEntriesMax = 2_000;
/** The newest links, and those of the shares that are held before Retire. */
const linksMax = 8;

/** The judge of one run. `violation` is the first statement that did not hold. */
export class Oracle extends Facts {
  readonly growth: Growth;
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
  readonly #decisions = new Decisions(this);
  readonly #shares: Shares;
  readonly #erasure: Erasure;
  readonly #words = new Words(this);
  readonly #votes = new Votes(this);
  readonly #recoveries = new Recoveries(this);
  readonly #memories = new Memories();

  constructor(world: World, clusterId: Uint8Array, oracleOf: (key: KeyRecord) => KeyOracle) {
    super(world, clusterId);
    this.growth = new Growth(world.genesis.membersMax);
    this.#shares = new Shares(this, oracleOf);
    this.#erasure = new Erasure(this, oracleOf);
  }

  /** Called after every step of a peer. */
  onChange(peer: Peer): void {
    const { state } = peer.driver as Driver;
    if (peer.faulty !== null) return;
    const seen = this.#seen.get(peer.name);
    const { links, shares, subShares, accusations, blames, plans, own } = state.durable;
    if (seen?.plans !== plans)
      for (const [plan, { orders }] of Object.entries(plans)) this.plans.set(plan, orders);
    if (seen?.links !== links) this.#decisions.check(peer, state);
    if (seen?.shares !== shares || seen.head !== own.head) this.#shares.check(peer, state);
    if (seen?.subShares !== subShares)
      this.#shares.checkSubShares(peer, state, seen?.subShares as Durable['subShares']);
    this.#seen.set(peer.name, { links, shares, subShares, accusations, blames, plans, head: own.head });
    if (seen?.accusations !== accusations) checkAccusations(this, peer, state);
    if (seen?.blames !== blames) checkBlames(this, peer, state);
    // A peer that joined begins with all links since its admission.
    if (own.oldest === 0 && Object.keys(links).length > linksMax)
      this.fail('6', `${peer.name} keeps ${Object.keys(links).length} links outside its archive`);
    const { inbox, early } = state.volatile;
    if (Object.keys(inbox).length > volatileEntriesMax || early.length > volatileEntriesMax)
      this.fail('6', `${peer.name} keeps too much in memory`);
  }

  /** Called after every durable write of a peer. */
  onDurable(peer: Peer, transaction: StoreTransaction): void {
    if (peer.faulty !== null) return;
    this.#erasure.check(peer, transaction);
    const { records } = peer.home;
    let bytes = 0;
    for (const [key, value] of records) if (!key.startsWith('chain/')) bytes += value.length;
    if (bytes > sealedBytesMax(this.world.peers.length))
      this.fail('6', `${peer.name} was made to store ${bytes} bytes`);
    const { head } = decodeStored(records.get('own') ?? encodeStored({ head: 0 })) as Durable['own'];
    const grown = this.growth.check(peer, head, this.valueAt(head));
    if (grown !== null) this.fail('6', grown);
  }

  /**
   * Checks everything that a peer publishes. It must be the peer's own, be durable before it leaves, and
   * never be contradicted (§4, the four rules).
   */
  onOutput(peer: Peer, output: Output): void {
    const forgotten = this.#memories.judge(peer, output, this.world.options.liars);
    if (forgotten !== null) this.fail('1', forgotten);
    if (output.type === 'send' && output.frame.type === 'recovery')
      return this.#recoveries.check(peer, output.frame.packet);
    if (output.type === 'rule' && output.rule === 'muted' && peer.faulty === null)
      this.fail('5', `${peer.name} was silenced though its store never went back in time`);
    if (output.type === 'refused') return checkReproach(this, peer, output);
    if (output.type !== 'publish' || output.frame.type !== 'message') return;
    const message = decode(messageSchema, output.frame.message.packet.body);
    if (message.type === 'dealing') return;
    if (message.type === 'prevote') this.#votes.count(message);
    if (peer.faulty !== 'lies') this.#words.checkOnce(peer, message);
    if (peer.faulty !== null) return;
    this.#words.checkDurable(peer, message);
    if (message.type === 'prevote' || message.type === 'precommit') this.#votes.checkLock(peer, message);
    if (message.type === 'prevote') this.#votes.checkSupport(peer, message);
  }

  onCrash(peer: Peer): void {
    this.#erasure.onCrash(peer);
  }

  onWentBack(peer: Peer): void {
    this.#words.onWentBack(peer);
  }

  /**
   * Called when a run has ended. Checks that mixed shares, which are not `k` of one epoch, give no secret
   * (statement 3).
   */
  checkAtTheEnd(random: () => number): void {
    this.#shares.checkMixedEpochs(random);
    this.#shares.checkLiarsShares();
  }
}
