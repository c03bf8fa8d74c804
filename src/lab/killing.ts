/**
 * Kills daemons of a group at random instants and starts them again, while it is known at every instant that enough of
 * the others could sign. What it finds on the dead one's disk goes to the search for remains.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { StatusView } from '../node/views/view.ts';
import { Counters } from '../simulation/world/counters.ts';
import type { Lab } from './lab.ts';
import { Observer } from './observer.ts';
import { Remains } from './remains.ts';

/** A kill follows the one before within this time, and the dead one is started within the other. */
const nextKillMsMax = 2_000;
const deadMsMax = 800;
/** This part of the kills follows a change at the victim within so long: where it is busy, and often writes. */
const aimedKills = 0.5;
const aimMsMax = 40;
/** This part of the kills may also fall on a daemon that is just starting. */
const earlyKills = 0.2;
/** More kills than this to an epoch are not allowed: the next waits for an epoch, or nothing would ever change. */
const killsPerEpochMax = 3;
const lookAgainMs = 20;
const patienceMs = 240_000;

export class Killing {
  readonly remains: Remains;
  /** In which phase of an epoch change each kill fell, as the killed daemon last showed it. */
  readonly phases = new Counters();
  /** Kills that left an unfinished write of the store behind. */
  cutWrites = 0;
  readonly #lab: Lab;
  readonly #random: () => number;
  readonly #observer: Observer;
  /** Peers that were killed or stopped, until they serve again. */
  readonly #away = new Set<string>();
  readonly #returning = new Map<string, Promise<void>>();
  /** How often each has been killed: tells a start that a later kill has ended. */
  readonly #deaths = new Map<string, number>();
  #failure: Error | null = null;
  #kills = 0;
  /** How often each peer's status has changed. */
  readonly #changes = new Map<string, number>();
  #firstEpoch = Number.POSITIVE_INFINITY;
  #newestEpoch = Number.NEGATIVE_INFINITY;

  constructor(lab: Lab, random: () => number, remains: Remains) {
    this.#lab = lab;
    this.#random = random;
    this.remains = remains;
    this.#observer = new Observer(lab, (name, status) => {
      remains.gather(lab.peer(name).home);
      this.#changes.set(name, (this.#changes.get(name) ?? 0) + 1);
      this.#firstEpoch = Math.min(this.#firstEpoch, status?.epoch ?? Number.POSITIVE_INFINITY);
      this.#newestEpoch = Math.max(this.#newestEpoch, status?.epoch ?? Number.NEGATIVE_INFINITY);
    });
  }

  /** Peers that a program may ask now. */
  available = (): string[] => this.#lab.names.filter((name) => !this.#away.has(name));

  /** At a random instant, kills a peer without which the others can sign, and has it started again after a while. */
  async killOne(): Promise<void> {
    const early = this.#random() < earlyKills;
    await this.#waitUntil(() => this.#kills < killsPerEpochMax * (1 + this.#newestEpoch - this.#firstEpoch));
    await pause(this.#random() * nextKillMsMax);
    let victims: string[] = [];
    await this.#waitUntil(() => {
      victims = this.#dispensable(early);
      return victims.length > 0;
    });
    const victim = victims[Math.floor(this.#random() * victims.length)] ?? '';
    if (this.#random() < aimedKills) await this.#aim(victim);
    if (!this.#dispensable(early).includes(victim)) return this.killOne();
    this.#strike(victim);
    await this.#bury(victim);
    this.#bringBack(victim);
  }

  /** Kills all at once, at a random instant, and starts all; resolves when all serve. */
  async killAll(): Promise<void> {
    await pause(this.#random() * nextKillMsMax);
    for (const { name } of this.#lab.peers.values()) this.#strike(name);
    for (const name of this.#lab.names) await this.#bury(name);
    await Promise.all(this.#lab.names.map((name) => this.#lab.start(name)));
    this.#away.clear();
  }

  /** Stops a peer's clock until `noticed` resolves and a random while longer. */
  async pauseOne(name: string, noticed: () => Promise<void>): Promise<void> {
    await pause(this.#random() * nextKillMsMax);
    this.phases.count(this.#phaseOf(name));
    this.#away.add(name);
    this.#lab.pause(name);
    try {
      await noticed();
      await pause(this.#random() * nextKillMsMax);
    } finally {
      this.#lab.resume(name);
    }
    this.#away.delete(name);
  }

  /** Resolves when everybody who was killed serves again. */
  async allBack(): Promise<void> {
    await Promise.all(this.#returning.values());
    if (this.#failure !== null) throw this.#failure;
  }

  stop(): Promise<void> {
    return this.#observer.stop();
  }

  async #waitUntil(holds: () => boolean): Promise<void> {
    const impatience = AbortSignal.timeout(patienceMs);
    while (!holds()) {
      if (this.#failure !== null) throw this.#failure;
      if (impatience.aborted) throw new Error(`nothing more could be killed for ${patienceMs} ms`);
      await pause(lookAgainMs);
    }
  }

  /** Waits for the next change at a peer, and a moment more. */
  async #aim(name: string): Promise<void> {
    const before = this.#changes.get(name);
    await this.#waitUntil(() => this.#changes.get(name) !== before);
    await pause(this.#random() * aimMsMax);
  }

  #strike(name: string): void {
    this.#kills += 1;
    this.phases.count(this.#phaseOf(name));
    this.#away.add(name);
    this.#deaths.set(name, (this.#deaths.get(name) ?? 0) + 1);
    this.#lab.peer(name).killNow();
  }

  /** Waits for the end of a daemon that was struck, and looks at what it left. */
  async #bury(name: string): Promise<void> {
    await this.#lab.kill(name);
    const { home } = this.#lab.peer(name);
    if (Remains.unfinished(home)) this.cutWrites += 1;
    this.remains.gather(home);
  }

  #bringBack(name: string): void {
    const deaths = this.#deaths.get(name);
    const back = async (): Promise<void> => {
      await pause(this.#random() * deadMsMax);
      try {
        await this.#lab.start(name);
        this.#away.delete(name);
      } catch (error) {
        // It was killed again while it started, and another start follows.
        if (this.#deaths.get(name) === deaths) this.#failure ??= error as Error;
      }
    };
    this.#returning.set(name, back());
  }

  /**
   * Running daemons (`early`: one that is just starting, too) without which everybody else serves, and `k` of
   * those have a share of one epoch. One peer away at a time is what protocol §7.4 speaks of: with two away
   * at the instant of Retire, fewer than `k` of the living may have the new share.
   */
  #dispensable(early: boolean): string[] {
    return this.#lab.runningNames().filter((victim) => {
      if (!early && this.#away.has(victim)) return false;
      if (this.#lab.names.some((name) => name !== victim && this.#away.has(name))) return false;
      const shares = new Map<number, number>();
      let threshold = Number.POSITIVE_INFINITY;
      for (const name of this.available()) {
        const status = this.#observer.statusOf(name);
        if (name === victim || status === null) continue;
        threshold = status.threshold;
        for (const epoch of status.shareEpochs) shares.set(epoch, (shares.get(epoch) ?? 0) + 1);
      }
      return [...shares.values()].some((holders) => holders >= threshold);
    });
  }

  #phaseOf(name: string): string {
    const status = this.#away.has(name) ? null : this.#observer.statusOf(name);
    return status === null ? 'starting' : phaseIn(status);
  }
}

function phaseIn({ change, epoch, shareEpochs }: StatusView): string {
  if (change !== null) return change.phase;
  return epoch !== null && shareEpochs.includes(epoch) ? 'between changes' : 'recovering';
}
