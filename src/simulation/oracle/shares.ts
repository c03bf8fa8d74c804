/**
 * Statements 2 and 3 by the numbers. The shares of one epoch lie on one polynomial, and its value at 0 is the
 * secret. Shares of several epochs give nothing, and shares of liars give nothing. Sub-shares that are held
 * are true.
 */

import type { Durable } from '../../protocol/machine/durable-state.ts';
import { selfIn } from '../../protocol/machine/queries.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import { dealingPublicSchema } from '../../protocol/records/change-messages.ts';
import { decode, hex, sameBytes } from '../../protocol/records/codec.ts';
import { type KeyRecord, operatorDealer } from '../../protocol/records/value.ts';
import { toyArithmetic } from '../world/toy-kind.ts';
import type { Peer } from '../world/world.ts';
import { type Facts, Watcher } from './facts.ts';
import type { KeyOracle } from './key-oracles.ts';

export class Shares extends Watcher {
  readonly #oracleOf: (key: KeyRecord) => KeyOracle;
  /** The shares that honest peers hold, as `epoch/key` → index → share. */
  readonly #shares = new Map<string, Map<number, bigint>>();

  constructor(facts: Facts, oracleOf: (key: KeyRecord) => KeyOracle) {
    super(facts);
    this.#oracleOf = oracleOf;
  }

  /**
   * Checks that every share lies on the polynomial of its epoch, whose value at 0 is the secret. Then any `k`
   * of them sign.
   */
  check(peer: Peer, state: CoreState): void {
    const index = peer.index;
    for (const [name, shares] of Object.entries(state.durable.shares)) {
      const value = this.facts.valueAt(Number(name));
      if (value === undefined || selfIn(state, value)?.index !== index) continue;
      for (const key of value.keys) {
        const bytes = shares[hex(key.id)];
        if (bytes === undefined) continue;
        const held = this.#heldOf(`${name}/${hex(key.id)}`);
        const oracle = this.#oracleOf(key);
        const share = oracle.numberOf(bytes);
        if (held.get(index) === share) continue;
        if (held.has(index)) this.facts.fail('2', `${peer.name} holds two shares of epoch ${name}`);
        held.set(index, share);
        const before = this.#shares.get(`${Number(name) - 1}/${hex(key.id)}`)?.get(index);
        if (before === share)
          this.facts.fail('3', `the share of ${peer.name} is the same in epochs before and at ${name}`);
        if (held.size < value.threshold) continue;
        const others = [...held].filter(([other]) => other !== index).slice(0, value.threshold - 1);
        if (!oracle.isSecret(key, oracle.at0(new Map([...others, [index, share]]))))
          this.facts.fail('2', `the share of ${peer.name} in epoch ${name} does not sign with the others`);
      }
    }
  }

  #heldOf(name: string): Map<number, bigint> {
    const held = this.#shares.get(name) ?? new Map<number, bigint>();
    this.#shares.set(name, held);
    return held;
  }

  /** Checks the sub-shares that an honest peer stores as checked. Only dealings of liars can be wrong. */
  checkSubShares(peer: Peer, state: CoreState, before: Durable['subShares'] | undefined): void {
    for (const [digest, held] of Object.entries(state.durable.subShares)) {
      if (before?.[digest] === held) continue;
      if (held.epoch <= state.durable.own.retired)
        this.facts.fail('3', `${peer.name} holds a sub-share of epoch ${held.epoch}, which it has retired`);
      if (held.dealer === operatorDealer) continue;
      const half = state.durable.publics[digest];
      const parent = this.facts.valueAt(held.epoch - 1);
      const dealer = parent?.roster.find((member) => member.index === held.dealer)?.peer;
      if (this.facts.world.peers.find((each) => each.peer === dealer)?.faulty !== 'lies') continue;
      if (half === undefined || parent === undefined) continue;
      decode(dealingPublicSchema, half.bytes).parts.forEach((part, at) => {
        const key = parent.keys.find(({ id }) => sameBytes(id, part.key));
        // A part of a key that is being created belongs to no key of the value before.
        if (key === undefined && part.possession !== undefined) {
          const statement = {
            ...{ cluster: this.facts.clusterId, plan: held.plan },
            ...{ creation: part.key, dealer: held.dealer },
          };
          if (!toyArithmetic.isProven(statement, part.commitments, part.possession))
            this.facts.fail('3', `${peer.name} took a part of a new key whose dealer need not know it`);
          return;
        }
        if (key === undefined) {
          this.facts.fail('2', `${peer.name} holds a sub-share of no key`);
          return;
        }
        const right = this.#oracleOf(key).isSubShare({
          key,
          commitments: part.commitments,
          receiver: peer.index,
          subShare: held.numbers[at] as Uint8Array,
        });
        if (!right)
          this.facts.fail('2', `${peer.name} took a false sub-share of ${held.dealer} for a true one`);
      });
    }
  }

  /** Checks that the liars' shares of one epoch give no secret (§8). They are fewer than `k`. */
  checkLiarsShares(): void {
    const liars = this.facts.world.peers.filter(({ faulty }) => faulty === 'lies');
    for (const key of this.facts.newest?.keys ?? []) {
      const oracle = this.#oracleOf(key);
      for (const { link: known } of this.facts.values.values()) {
        const { epoch, threshold } = known.value;
        const shares = liars.flatMap(({ index, driver }): [number, bigint][] => {
          const share = driver?.state.durable.shares[epoch]?.[hex(key.id)];
          return share === undefined ? [] : [[index, oracle.numberOf(share)]];
        });
        if (shares.length >= threshold)
          this.facts.fail('3', `liars hold ${shares.length} shares of epoch ${epoch}`);
        if (shares.length > 0 && oracle.isSecret(key, oracle.at0(new Map(shares))))
          this.facts.fail('3', `${shares.length} shares of liars sign in epoch ${epoch}`);
      }
    }
  }

  /** Checks statement 3: `k` shares give no secret when fewer than `k` of them are of one epoch. */
  checkMixedEpochs(random: () => number): void {
    for (const key of this.facts.newest?.keys ?? []) {
      const oracle = this.#oracleOf(key);
      const held = [...this.facts.values.values()].flatMap(({ link: { value } }) => {
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
        if (oracle.isSecret(key, oracle.at0(chosen)))
          this.facts.fail('3', `shares of epochs ${[...perEpoch.keys()].join(', ')} sign together`);
      }
    }
  }
}
