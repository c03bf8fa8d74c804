/**
 * Kills daemons of a group at random instants and starts them again. At every instant enough of the others
 * are known to be able to sign. Pieces from the dead daemon's disk go to the search for remains.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { StatusView } from '../node/views/view.ts';
import { Counters } from '../simulation/world/counters.ts';
import type { Lab } from './lab.ts';
import { Observer } from './observer.ts';
import { Remains } from './remains.ts';

/** A kill follows the one before within `nextKillMsMax`. The dead daemon is started within `deadMsMax`. */
const nextKillMsMax = 2_000;
const deadMsMax = 800;
/**
 * This part of the kills comes within `aimMsMax` after a change at the victim. It is busy then, and often
 * writes.
 */
const aimedKills = 0.5;
const aimMsMax = 40;
/** This part of the kills may hit a daemon that is just starting. */
const earlyKills = 0.2;
/** At most this many kills for each epoch. The next kill waits for an epoch, or nothing would ever change. */
const killsPerEpochMax = 3;
const lookAgainMs = 20;
const patienceMs = 240_000;

/** One series of kills. `random` gives numbers in [0, 1), and everything random follows from it. */
export class Killing {
  readonly remains: Remains;
  /** In which phase of an epoch change each kill came. It is the phase that the killed daemon showed last. */
  readonly phases = new Counters();
  /** How many kills left an unfinished write of the store behind. */
  cutWrites = 0;
  readonly #lab: Lab;
  readonly #random: () => number;
  readonly #observer: Observer;
  /** Peers that were killed or stopped and do not serve again yet. */
  readonly #away = new Set<string>();
  readonly #returning = new Map<string, Promise<void>>();
  /** How often each peer was killed. A start compares it, and so knows that a later kill ended it. */
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

  /** The peers that a program may ask now. */
  available = (): string[] => this.#lab.names.filter((name) => !this.#away.has(name));

  /**
   * Kills one peer at a random instant, and has it started again after a while. The others can sign without
   * it.
   */
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

  /** Kills all peers at once at a random instant, and starts them. Resolves when all daemons are ready. */
  async killAll(): Promise<void> {
    await pause(this.#random() * nextKillMsMax);
    for (const { name } of this.#lab.peers.values()) this.#strike(name);
    for (const name of this.#lab.names) await this.#bury(name);
    await Promise.all(this.#lab.names.map((name) => this.#lab.start(name)));
    this.#away.clear();
  }

  /** Stops the process of a peer until `noticed` resolves, and a random while longer. */
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

  /** Resolves when every killed peer serves again. Rejects when one did not start. */
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

  /** Waits for the end of a killed daemon, and reads its disk. */
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
        // When the peer was killed again while it started, another start follows.
        if (this.#deaths.get(name) === deaths) this.#failure ??= error as Error;
      }
    };
    this.#returning.set(name, back());
  }

  /**
   * The running daemons that may be killed now. Without such a daemon all others serve, and `k` of them have
   * a share of one epoch. `early` allows a daemon that is just starting, too. Only one peer may be away at a
   * time (protocol §7.4): with two away at the instant of Retire, fewer than `k` living peers may have the
   * new share.
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
