/**
 * Troubles of this machine: its disk, its clock, and changes to the audit log by others. Each is shown while
 * it lasts.
 */
import type { Audit } from '../audit/audit.ts';
import type { Clock } from '../clock.ts';
import type { Log } from '../log.ts';
import type { ListenError } from '../network/listen-error.ts';
import type { StoreError, StoreErrorCode } from '../store/store-error.ts';
import { ClockWatch } from './clock-watch.ts';
import type { Problem } from './view.ts';

/**
 * The files that cannot be written. Without the sealed store this peer takes no part in epoch changes.
 * Without the audit log it uses no key.
 */
type Unwritable = 'store' | 'audit';

const stops: Readonly<Record<Unwritable, string>> = {
  store: 'it takes no part in epoch changes',
  audit: 'it uses no key, for no use goes without its line in the audit log',
};

const problems: Partial<Record<StoreErrorCode, { code: string; what: string; remedy: string }>> = {
  full: { code: 'disk-full', what: 'The disk of the home is full', remedy: 'Free some space' },
  'read-only': {
    code: 'disk-read-only',
    what: 'The home cannot be written',
    remedy: 'Look at its owner and its mount, and mount it for writing',
  },
  descriptors: {
    code: 'no-descriptors',
    what: 'The daemon has no file descriptor left',
    remedy: 'Raise its limit (prlimit --nofile; systemd: LimitNOFILE=65536)',
  },
};
const otherProblem = { code: 'disk-failed', what: 'The home cannot be written', remedy: 'Check the disk' };

/** A jump of the clock is shown for so long. Milliseconds. */
const jumpShownMs = 10 * 60_000;

/** Collects the troubles of this machine, and gives them to `status` and the log. */
export class MachineTroubles {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onChange: () => void;
  readonly #lasting = new Map<Unwritable | 'lobby', Problem>();
  #clockWatch: ClockWatch | null = null;
  #audit: Pick<Audit, 'damage' | 'note'> | null = null;
  #jump: { atMs: number; problem: Problem } | null = null;

  constructor(options: { clock: Clock; log: Log; onChange: () => void }) {
    this.#clock = options.clock;
    this.#log = options.log;
    this.#onChange = options.onChange;
  }

  /**
   * From now on, jumps of the clock are noticed and go into the audit log. Damage of the audit log is shown
   * too.
   */
  watch(audit: Pick<Audit, 'damage' | 'note'>): void {
    this.#audit = audit;
    this.#clockWatch = new ClockWatch({
      clock: this.#clock,
      onJump: (stepMs) => {
        audit.note({ event: 'clock', stepMs });
        this.#clockJumped(stepMs);
      },
    });
  }

  stop(): void {
    this.#clockWatch?.stop();
  }

  /** Takes the error of a failed write of the store or the audit log, and null when writes succeed again. */
  report(what: Unwritable, error: StoreError | null): void {
    const before = this.#lasting.get(what);
    if (error === null) {
      if (!this.#lasting.delete(what)) return;
      this.#log.info({ code: before?.code ?? null }, `the ${what} is written again`);
    } else {
      const { code, what: is, remedy } = problems[error.code] ?? otherProblem;
      if (before?.code === code) return;
      this.#lasting.set(what, {
        code,
        what: `${is}; until that ends, ${stops[what]}.`,
        remedy: `${remedy}: the daemon goes on by itself.`,
      });
      this.#log.error({ code, err: error }, `the ${what} cannot be written`);
    }
    this.#onChange();
  }

  /** The lobby cannot open on this machine. A member works without it. */
  reportLobby(error: ListenError): void {
    const code = 'lobby-address';
    this.#lasting.set('lobby', {
      code,
      what: `No newcomer can ask this peer for admission: ${error.message}.`,
      remedy: 'Then start the daemon again; another address goes into lobbyListen in settings.yaml.',
    });
    this.#log.warn({ code, err: error }, 'the lobby cannot open');
    this.#onChange();
  }

  /** Whether the store, or the audit log, cannot be written now. */
  has(what: Unwritable): boolean {
    return this.#lasting.has(what);
  }

  /** Somebody set the clock of the machine. It is shown for a while. */
  #clockJumped(stepMs: number): void {
    const seconds = Math.round(Math.abs(stepMs) / 1000);
    const by = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
    const problem = {
      code: 'clock-jumped',
      what: `The clock of this machine was set ${stepMs > 0 ? 'ahead' : 'back'} by ${by}. Refreshes keep their times.`,
      remedy: 'If it is wrong now, set it (NTP): requests to use a key would be refused as expired.',
    };
    this.#jump = { atMs: this.#clock.nowMs(), problem };
    this.#log.warn({ code: problem.code, delayMs: stepMs }, 'the clock of this machine was set');
    this.#onChange();
  }

  /** The troubles that last, for `status`. */
  problems(): Problem[] {
    const jump = this.#jump;
    const shown = jump !== null && this.#clock.nowMs() - jump.atMs < jumpShownMs ? [jump.problem] : [];
    const damage = this.#audit?.damage ?? null;
    const damaged = {
      code: 'audit-damaged',
      what: `The audit log was changed: ${damage}.`,
      remedy: 'Look who could change it: holdfast audit --verify shows where. The log itself goes on.',
    };
    return [...this.#lasting.values(), ...shown, ...(damage === null ? [] : [damaged])];
  }
}
