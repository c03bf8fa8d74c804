/** What goes into the core and what comes out: time and entropy are inputs, I/O and heavy arithmetic are outputs. */

import type { Frame, Trials } from '../records/change-messages.ts';
import type { RefusalAction } from '../records/errors.ts';
import type { Order } from '../records/order.ts';
import type { Packet } from '../records/packet.ts';
import type { Member } from '../records/roster.ts';
import type { KeyRecord } from '../records/value.ts';
import type { JobTag } from './job-tags.ts';
import type { PrintedName } from './rule-names.ts';

/** Every input carries the monotonic and the wall clock in milliseconds, and 32 fresh random bytes. */
export interface Stamp {
  atMs: number;
  wallMs: number;
  entropy: Uint8Array;
}

export type Input = Stamp &
  (
    | { type: 'boot' }
    | { type: 'tick' }
    | { type: 'frame'; from: string; authenticated: boolean; frame: Uint8Array }
    | { type: 'gossip'; from: string; frame: Uint8Array }
    | { type: 'connected' | 'authenticated' | 'unauthenticated' | 'disconnected'; peer: string }
    | { type: 'order'; order: Order }
    | { type: 'dealings'; packets: Packet[] }
    | { type: 'refresh' }
    | { type: 'computed'; tag: JobTag; result: JobResult }
  );

/** A key with what arithmetic on it needs. */
export interface KeySetting {
  key: KeyRecord;
  threshold: number;
  membersMax: number;
}

/** What an envelope is tied to (§3 "Sealing a number for its receiver"). */
export interface EnvelopeTie {
  cluster: Uint8Array;
  epoch: number;
  plan: Uint8Array;
  digest: Uint8Array;
  sender: number;
  receiver: number;
}

/** One key's part of a dealing, as its receiver checks it. */
export interface CheckPart {
  setting: KeySetting;
  commitments: Uint8Array[];
  /** Whether the number is the first share of a new key. */
  creation: boolean;
  /** What the dealing calls the key: the envelope is tied to it. */
  key: Uint8Array;
  /** Whether the number is a part of a key that members create together. */
  joint: boolean;
  envelope: Uint8Array;
}

export interface CheckItem {
  digest: Uint8Array;
  dealer: number;
  parts: CheckPart[];
}

/** One key's part of a dealing, as its dealer makes it. `coefficients` and `own` are secret. */
export interface DealtPart {
  commitments: Uint8Array[];
  coefficients: Uint8Array[];
  /** The dealer's own number. */
  own: Uint8Array;
  /** Of a key that members create together. */
  possession: Uint8Array | null;
}

/** Heavy arithmetic: pure functions of these fields and of entropy that the driver adds. */
export type Job =
  | { kind: 'deal'; cluster: Uint8Array; plan: Uint8Array; keys: KeySetting[]; dealer: number }
  | {
      kind: 'seal';
      keys: Array<{ setting: KeySetting; coefficients: Uint8Array[] }>;
      tie: Omit<EnvelopeTie, 'receiver'>;
      receivers: Array<{ index: number; sealingKey: Uint8Array }>;
    }
  | {
      kind: 'check';
      tie: Omit<EnvelopeTie, 'digest' | 'sender'>;
      sealingSecret: Uint8Array;
      items: CheckItem[];
    }
  | {
      kind: 'apply';
      index: number;
      /** Every key of the new value: the share before (null for a created key) and the accepted sub-shares. */
      keys: Array<{
        setting: KeySetting;
        commitments: Uint8Array[];
        before: Uint8Array | null;
        created: Uint8Array | null;
        /** Whether `numbers` are the parts of a key that members created together. */
        joint: boolean;
        numbers: Uint8Array[];
      }>;
    }
  | {
      kind: 'trial';
      cluster: Uint8Array;
      index: number;
      epoch: number;
      value: Uint8Array;
      keys: Array<{ setting: KeySetting; share: Uint8Array }>;
    }
  | {
      kind: 'combine-trial';
      cluster: Uint8Array;
      /** Whose trials they are, in their order. */
      members: number[];
      epoch: number;
      value: Uint8Array;
      keys: Array<{
        setting: KeySetting;
        commitments: Uint8Array[];
        trials: Array<{ by: number; trial: Uint8Array }>;
      }>;
    }
  | {
      /** §5 step 2: a helper's share plus the chosen masks, sealed for the recovering peer. */
      kind: 'sum';
      index: number;
      root: number;
      /** `numbers`: of the chosen helpers' masks. */
      keys: Array<{ setting: KeySetting; share: Uint8Array; numbers: Uint8Array[] }>;
      sealingKey: Uint8Array;
      tie: EnvelopeTie;
    }
  | {
      /** §5 step 3: checks the sums, and interpolates when all are true. */
      kind: 'recover';
      index: number;
      keys: Array<{
        setting: KeySetting;
        commitments: Uint8Array[];
        /** Of each chosen helper: the commitments of its mask, not checked yet, and its sealed sum. */
        sums: Array<{ by: number; mask: Uint8Array[]; envelope: Uint8Array }>;
      }>;
      sealingSecret: Uint8Array;
      tie: Omit<EnvelopeTie, 'sender'>;
    };

export type JobResult =
  | { kind: 'deal'; parts: DealtPart[] }
  | { kind: 'seal'; sealed: Array<{ receiver: number; envelopes: Uint8Array[] }> }
  | { kind: 'check'; results: Array<{ digest: Uint8Array; numbers: Uint8Array[] | null }> }
  | { kind: 'apply'; shares: Uint8Array[] | null }
  | { kind: 'trial'; trials: Trials }
  /** `members`: whose trials the proofs were made of, in that order. */
  | {
      kind: 'combine-trial';
      proofs: Uint8Array[] | null;
      members: number[];
      culprits: number[];
      suspects: number[];
    }
  | { kind: 'sum'; envelopes: Uint8Array[] }
  /** `culprits`: whose sums are false; `falseMasks`: whose masks are no dealings. */
  | { kind: 'recover'; shares: Uint8Array[] | null; culprits: number[]; falseMasks: number[] }
  /**
   * It says nothing of what the job was about: no worker could do it. The cause is of a closed list, without
   * a secret.
   */
  | { kind: 'failed'; cause: string };

export type Output =
  /** Always first: durable before anything else of the step leaves. `rotate` erases every older byte. */
  | { type: 'persist'; puts: [key: string, value: Uint8Array][]; deletes: string[]; rotate: boolean }
  | { type: 'send'; to: string; frame: Frame }
  | { type: 'publish'; frame: Frame }
  /** Links from this epoch on for a peer that is behind, as many as one frame holds: the archive has them. */
  | { type: 'send-links'; to: string; first: number }
  | { type: 'compute'; tag: JobTag; job: Job }
  /** The roster that may connect changed. */
  | { type: 'roster'; members: Member[] }
  /** A named rule fired: for the log, traces and transcripts; never with a secret. */
  | { type: 'rule'; rule: PrintedName; detail: Record<string, string | number> }
  | { type: 'refused'; from: string; code: string; action: RefusalAction; why: string };
