/**
 * Signing programs that have one message signed over and over, whatever happens to the daemons.
 *
 * Each program asks one daemon, for at most `askMs`. When that daemon is gone, is silent, or cannot find
 * enough peers, the program asks another one with a fresh request, and so on. These are failures, and end all
 * programs: a refusal, a false answer, another signature than the expected one, and no signature within
 * `giveUpMs`.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { ClientError } from '../client/client-error.ts';
import type { Notice } from '../client/daemons.ts';
import type { SigningProgram } from './signing-program.ts';

const askMs = 10_000;
const giveUpMs = 60_000;
/** A pause in milliseconds, so that a daemon that is being killed is not asked a thousand times. */
const betweenAsksMs = 50;
/**
 * Each program rests between its signatures, in milliseconds, so that the group has time for its own work.
 */
const restMs = 40;
const programs = 2;

interface Signed {
  signatures: number;
  /** How often a program had to ask another daemon. */
  askedAgain: number;
  slowestMs: number;
}

interface SteadyOptions {
  message: string;
  expected: Uint8Array;
  /** The peers that a program may ask now. */
  available: () => readonly string[];
}

/** Two programs that sign until `stop`. */
export class SteadyPrograms {
  readonly #program: SigningProgram;
  readonly #options: SteadyOptions;
  readonly #signed: Signed = { signatures: 0, askedAgain: 0, slowestMs: 0 };
  #stopping = false;
  readonly #ended: Promise<PromiseSettledResult<void>[]>;
  #turn = 0;
  /** A false answer of one daemon. It is a failure even when another daemon gave a true one. */
  #lie: ClientError | null = null;

  /** Starts the programs. */
  constructor(program: SigningProgram, options: SteadyOptions) {
    this.#program = program;
    this.#options = options;
    this.#ended = Promise.allSettled(Array.from({ length: programs }, () => this.#run()));
  }

  /** Stops after the signatures that are under way. Rejects when one failed. */
  async stop(): Promise<Signed> {
    this.#stopping = true;
    for (const outcome of await this.#ended) if (outcome.status === 'rejected') throw outcome.reason;
    return this.#signed;
  }

  /** Whether a signature has failed already. `stop` then rejects with the failure. */
  get failed(): boolean {
    return this.#stopping;
  }

  async #run(): Promise<void> {
    try {
      while (!this.#stopping) {
        await this.#signOnce();
        await pause(restMs);
      }
    } finally {
      this.#stopping = true;
    }
  }

  async #signOnce(): Promise<void> {
    const { message, expected } = this.#options;
    const startedAtMs = performance.now();
    const elapsedMs = (): number => performance.now() - startedAtMs;
    let last = 'nobody could be asked';
    const onNotice = (notice: Notice): void => {
      if (notice.type !== 'next-daemon') return;
      this.#signed.askedAgain += 1;
      this.#lie ??= isLie(notice.why) ? notice.why : null;
    };
    while (elapsedMs() < giveUpMs) {
      const names = this.#inTurn();
      try {
        if (names.length === 0) throw new ClientError('unreachable', last);
        const { signature } = await this.#program.sign(names, message, { timeoutMs: askMs, onNotice });
        if (this.#lie !== null) throw this.#lie;
        if (elapsedMs() > giveUpMs + askMs) break;
        if (!Buffer.from(signature).equals(expected)) throw new Error(`${names} gave another signature`);
        this.#signed.signatures += 1;
        this.#signed.slowestMs = Math.max(this.#signed.slowestMs, elapsedMs());
        return;
      } catch (error) {
        if (!(error instanceof ClientError) || error.code === 'refused' || isLie(error)) throw error;
        last = error.message;
      }
      this.#signed.askedAgain += 1;
      await pause(betweenAsksMs);
    }
    throw new Error(`no signature within ${giveUpMs} ms; last, ${last}`);
  }

  /** The peers that may be asked now. Each time another one comes first. */
  #inTurn(): string[] {
    const names = this.#options.available();
    this.#turn += 1;
    const first = this.#turn % Math.max(1, names.length);
    return [...names.slice(first), ...names.slice(0, first)];
  }
}

/** An answer that no daemon of the lab may give, even when the next daemon makes up for it. */
const isLie = ({ code }: ClientError): boolean => code === 'false-signature' || code === 'not-to-be-trusted';
