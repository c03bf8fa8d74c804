/**
 * The history of the whole group, as the oracle saw it. All watchers share it. It has every certified value,
 * the plans that were known before, and the first statement that did not hold.
 */
import type { Link } from '../../protocol/records/link.ts';
import type { Order } from '../../protocol/records/order.ts';
import type { Value } from '../../protocol/records/value.ts';
import { tooManyLie } from '../world/run-options.ts';
import type { World } from '../world/world.ts';

/** A statement of protocol §7 that did not hold, or one of the rules in §4 that the statements need. */
export class Violation extends Error {
  readonly statement: string;
  constructor(statement: string, what: string) {
    super(`statement ${statement}: ${what}`);
    this.name = 'Violation';
    this.statement = statement;
  }
}

/** The facts of one run. */
export class Facts {
  violation: Violation | null = null;
  /** Every certified value, by epoch. `hash` is in hex, and `by` is the peer that had it first. */
  readonly values = new Map<number, { hash: string; link: Link; by: string }>();
  /** The plans that honest members knew, with their orders. */
  readonly plans = new Map<string, readonly Order[]>();
  /** The newest epoch that was decided. */
  latest = 0;
  readonly world: World;
  readonly clusterId: Uint8Array;

  constructor(world: World, clusterId: Uint8Array) {
    this.world = world;
    this.clusterId = clusterId;
  }

  /**
   * Records the first violation. With more than `faults` liars the protocol promises only statements 1, 3 and
   * 6 (§8).
   */
  fail(statement: string, what: string): void {
    if (tooManyLie(this.world.options) && !['1', '3', '6'].includes(statement)) return;
    this.violation ??= new Violation(statement, what);
  }

  valueAt(epoch: number): Value | undefined {
    return this.values.get(epoch)?.link.value;
  }

  get newest(): Value | undefined {
    return this.valueAt(this.latest);
  }

  /** `n − faults`, by the formula of §1. */
  quorumOf({ roster: { length: n }, threshold: k }: Pick<Value, 'roster' | 'threshold'>): number {
    const faults =
      this.world.genesis.faultModel === 'byzantine'
        ? Math.min(Math.floor((n - 1) / 3), Math.floor((n - k) / 2))
        : Math.min(Math.floor((n - 1) / 2), n - k);
    return n - Math.max(0, faults);
  }
}

/** Watches one kind of thing, and remembers facts about it that `Facts` does not have. */
export class Watcher {
  readonly facts: Facts;

  constructor(facts: Facts) {
    this.facts = facts;
  }
}
