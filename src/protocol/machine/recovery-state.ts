/**
 * What a recovery keeps, at the peer that recovers and at those that help it. All of it is volatile: a helper
 * that restarts has forgotten the key that it granted, so it can never deal a second mask or send a second
 * sum in a run.
 */
import type { Packet } from '../records/packet.ts';
import type { Chosen, Of } from '../records/recovery-messages.ts';
import type { AskedKey } from './record-keys.ts';

/** The peer that recovers. */
export interface Asking {
  epoch: number;
  nonce: Uint8Array;
  /** Signed grants of this nonce by helper. */
  grants: Record<string, { message: Of<'recover-grant'>; packet: Packet }>;
  /** Helpers that told to wait, with the epoch that they wait for. */
  waits: Record<string, number>;
  /** When the k-th grant came: a little later the run starts with all who granted. */
  enoughAtMs: number | null;
  /** The next (re-)sending of what this stage sends. */
  sendAtMs: number;
  /** Helpers that failed an earlier run of this epoch: left out while k others grant. */
  failed: Record<string, true>;
  run: Run | null;
}

export interface Run {
  run: Uint8Array;
  packet: Packet;
  sealingSecret: Uint8Array;
  helpers: number[];
  /** Public halves of masks by digest, with their dealers. */
  publics: Record<string, { dealer: number; bytes: Uint8Array }>;
  /** Whose masks each helper says it holds: helper → dealer → digest. */
  held: Record<string, Record<string, string>>;
  /** When the stage is given up and its silent helpers are left out. */
  stageEndsAtMs: number;
  choice: { chosen: Chosen; packet: Packet } | null;
  /** Signed accepts of the choice by helper. */
  accepts: Record<string, Packet>;
  sums: Record<string, Uint8Array[]>;
}

/** A helper's part in one run. */
export interface Helping {
  run: Uint8Array;
  epoch: number;
  recoverer: number;
  /** r's sealing key for the sums. */
  sealingKey: Uint8Array;
  sealingSecret: Uint8Array;
  helpers: Array<{ index: number; sealingKey: Uint8Array }>;
  own: { digest: Uint8Array; public: Uint8Array; coefficients: Uint8Array[][]; numbers: Uint8Array[] } | null;
  /** Own mask as sealed for each other helper. */
  outbox: Record<string, Packet>;
  inbox: Record<string, { dealer: number; public: Uint8Array; envelopes: Uint8Array[] }>;
  /** Checked masks by dealer. */
  masks: Record<string, { digest: string; numbers: Uint8Array[] }>;
  refused: Record<string, true>;
  /** The one choice of this run that this member accepted. */
  choice: Of<'recover-choice'> | null;
  /** The one sum of this run, as it was sent. */
  sum: Packet | null;
  startedAtMs: number;
}

export interface RecoveryState {
  asking: Asking | null;
  /** Grants given and not yet used, by recoverer: the secret half of the sealing key. */
  granted: Record<
    string,
    { nonce: Uint8Array; packet: Packet; sealingSecret: Uint8Array; sealingKey: Uint8Array }
  >;
  /** By recoverer: its run that this member helps; a newer one replaces it. */
  helping: Record<string, Helping>;
  /** `epoch/recoverer` → when it first asked, and whether it had its hold. */
  askedAtMs: Record<AskedKey, number>;
  /** No own new Attend before this (§5.1); ends early when the peer it is for is ready. */
  hold: { epoch: number; recoverer: number; untilMs: number } | null;
}

export const noRecovery = (): RecoveryState => ({
  asking: null,
  granted: {},
  helping: {},
  askedAtMs: {},
  hold: null,
});
