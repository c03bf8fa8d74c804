/**
 * The state of recoveries, at the member that recovers and at its helpers. All of it is volatile. A helper
 * that restarts has forgotten the key that it granted. So it can never deal a second mask or send a second
 * sum in a run.
 */
import type { Packet } from '../records/packet.ts';
import type { Chosen, Of } from '../records/recovery-messages.ts';
import type { AskedKey } from './record-keys.ts';

/** The recovery of this member itself. */
export interface Asking {
  epoch: number;
  nonce: Uint8Array;
  /** The signed grants for this nonce, by helper. */
  grants: Record<string, { message: Of<'recover-grant'>; packet: Packet }>;
  /** The helpers that said "wait", with the epoch that they wait for. */
  waits: Record<string, number>;
  /** The time of the k-th grant. A little later a run starts with all helpers that granted. */
  enoughAtMs: number | null;
  /** The time of the next sending of this stage. */
  sendAtMs: number;
  /** The helpers that failed an earlier run of this epoch. They are left out while `k` others grant. */
  failed: Record<string, true>;
  run: Run | null;
}

/** A run, at the member that recovers. */
export interface Run {
  run: Uint8Array;
  packet: Packet;
  sealingSecret: Uint8Array;
  helpers: number[];
  /** The public halves of masks, by digest, with their dealers. */
  publics: Record<string, { dealer: number; bytes: Uint8Array }>;
  /** The masks that each helper says it holds: helper → dealer → digest. */
  held: Record<string, Record<string, string>>;
  /** At this time the stage is given up, and its silent helpers are left out. */
  stageEndsAtMs: number;
  choice: { chosen: Chosen; packet: Packet } | null;
  /** The signed accepts of the choice, by helper. */
  accepts: Record<string, Packet>;
  sums: Record<string, Uint8Array[]>;
}

/** A helper's part in one run. */
export interface Helping {
  run: Uint8Array;
  epoch: number;
  recoverer: number;
  /** The sealing key of the member that recovers, for the sums. */
  sealingKey: Uint8Array;
  sealingSecret: Uint8Array;
  helpers: Array<{ index: number; sealingKey: Uint8Array }>;
  own: { digest: Uint8Array; public: Uint8Array; coefficients: Uint8Array[][]; numbers: Uint8Array[] } | null;
  /** This helper's mask, as it is sealed for each other helper. */
  outbox: Record<string, Packet>;
  inbox: Record<string, { dealer: number; public: Uint8Array; envelopes: Uint8Array[] }>;
  /** The checked masks, by dealer. Secret. */
  masks: Record<string, { digest: string; numbers: Uint8Array[] }>;
  refused: Record<string, true>;
  /** The one choice of this run that this helper accepted. */
  choice: Of<'recover-choice'> | null;
  /** The one sum of this run, as it was sent. */
  sum: Packet | null;
  startedAtMs: number;
}

/** The recoveries in which this member takes part. */
export interface RecoveryState {
  asking: Asking | null;
  /** Grants that no run has used yet, by the member that recovers. `sealingSecret` is secret. */
  granted: Record<
    string,
    { nonce: Uint8Array; packet: Packet; sealingSecret: Uint8Array; sealingKey: Uint8Array }
  >;
  /** By the member that recovers: its run that this member helps. A newer run replaces it. */
  helping: Record<string, Helping>;
  /** The time of the first question of each recovery. */
  askedAtMs: Record<AskedKey, number>;
  /**
   * Before this time this member sends no new Attend (§5.1). The hold ends early when the member that
   * recovers is ready.
   */
  hold: { epoch: number; recoverer: number; untilMs: number } | null;
}

export const noRecovery = (): RecoveryState => ({
  asking: null,
  granted: {},
  helping: {},
  askedAtMs: {},
  hold: null,
});
