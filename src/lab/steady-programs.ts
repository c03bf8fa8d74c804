/**
 * Signing programs that have one message signed over and over, whatever happens to the daemons.
 *
 * What such a program does, and so what "a signature failed" means: it asks one daemon, for at most `askMs`;
 * when that one is gone, silent, or cannot find enough peers, it asks another with the same request, and so
 * on. A refusal, another signature than the expected one, or no signature within `giveUpMs` is a failure, and
 * ends all.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { ApiError } from '../client/api-client.ts';
import type { SignAnswer } from '../node/use/answers.ts';
import type { Lab } from './lab.ts';
import type { SigningProgram } from './signing-program.ts';

const askMs = 10_000;
const giveUpMs = 60_000;
/** So that a daemon that is just being killed is not asked a thousand times. */
const betweenAsksMs = 50;
/** Each program rests between its signatures: the group shall have time for its own work. */
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

export class SteadyPrograms {
  readonly #lab: Lab;
  readonly #program: SigningProgram;
  readonly #options: SteadyOptions;
  readonly #signed: Signed = { signatures: 0, askedAgain: 0, slowestMs: 0 };
  #stopping = false;
  readonly #ended: Promise<PromiseSettledResult<void>[]>;
  #turn = 0;

  /** Begins. */
  constructor(lab: Lab, program: SigningProgram, options: SteadyOptions) {
    this.#lab = lab;
    this.#program = program;
    this.#options = options;
    this.#ended = Promise.allSettled(Array.from({ length: programs }, () => this.#run()));
  }

  /** Ends after the signatures that are under way; rejects when one failed. */
  async stop(): Promise<Signed> {
    this.#stopping = true;
    for (const outcome of await this.#ended) if (outcome.status === 'rejected') throw outcome.reason;
    return this.#signed;
  }

  /** Whether a signature failed already; `stop` says which. */
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
    const request = this.#program.request(message);
    const startedAtMs = performance.now();
    const elapsedMs = (): number => performance.now() - startedAtMs;
    let last = 'nobody could be asked';
    while (elapsedMs() < giveUpMs) {
      const name = this.#next();
      const answer =
        name === null
          ? null
          : await this.#ask(this.#lab.api(name).sign(request, askMs)).catch((error: Error) => {
              if (error instanceof ApiError && error.code === 'refused') throw error;
              last = `${name}: ${error.message}`;
              return null;
            });
      if (answer === null) {
        this.#signed.askedAgain += 1;
        await pause(betweenAsksMs);
        continue;
      }
      if (!Buffer.from(answer.signature).equals(expected)) throw new Error(`${name} gave another signature`);
      this.#signed.signatures += 1;
      this.#signed.slowestMs = Math.max(this.#signed.slowestMs, elapsedMs());
      return;
    }
    throw new Error(`no signature within ${giveUpMs} ms; last, ${last}`);
  }

  #next(): string | null {
    const names = this.#options.available();
    this.#turn += 1;
    return names[this.#turn % names.length] ?? null;
  }

  /** A daemon whose clock is stopped keeps the connection and says nothing. */
  async #ask(answer: Promise<SignAnswer>): Promise<SignAnswer> {
    const silence = new AbortController();
    const silent = pause(askMs, null, { signal: silence.signal }).then(() => {
      throw new ApiError('not-running', 'the daemon is silent');
    });
    try {
      return await Promise.race([answer, silent]);
    } finally {
      silence.abort();
      silent.catch(() => {});
      answer.catch(() => {});
    }
  }
}
