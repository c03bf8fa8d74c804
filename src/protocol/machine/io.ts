/** The inputs and outputs of the core. Time and entropy are inputs. I/O and heavy arithmetic are outputs. */

import type { Frame, Trials } from '../records/change-messages.ts';
import type { RefusalAction } from '../records/errors.ts';
import type { Order } from '../records/order.ts';
import type { Packet } from '../records/packet.ts';
import type { Member } from '../records/roster.ts';
import type { KeyRecord } from '../records/value.ts';
import type { JobTag } from './job-tags.ts';
import type { PrintedName } from './rule-names.ts';

/**
 * Every input has the monotonic clock (`atMs`) and the wall clock (`wallMs`) in milliseconds, and 32 fresh
 * random bytes.
 */
export interface Stamp {
  atMs: number;
  wallMs: number;
  entropy: Uint8Array;
}

/**
 * One input of a step. Frames come from peers and are not trusted. `authenticated` says whether the
 * connection's peer has proven its epoch key.
 */
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

/** A key, with the numbers that its arithmetic needs. */
export interface KeySetting {
  key: KeyRecord;
  threshold: number;
  membersMax: number;
}

/** Everything that an envelope is tied to (§3, "Sealing a number for its receiver"). */
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
  /** True when the number is the first share of a new key. */
  creation: boolean;
  /** The dealing's name for the key. The envelope is tied to it. */
  key: Uint8Array;
  /** True when the number is a part of a key that members create together. */
  joint: boolean;
  envelope: Uint8Array;
}

/** One dealing for its receiver to check. The dealer is not trusted. */
export interface CheckItem {
  digest: Uint8Array;
  dealer: number;
  parts: CheckPart[];
}

/** A key with the commitments of its present shares; null while members create it together. */
export interface KeyBefore {
  key: KeyRecord;
  commitments: Uint8Array[] | null;
}

/** What accepted dealings make of a key. */
export interface KeySum {
  /** The key's public values: new ones only where members have created it together. */
  public: Uint8Array;
  /** Of the polynomial of the next shares. */
  commitments: Uint8Array[];
}

/** A member's part of a key that all create together, as anybody judges it. */
export interface CreatedPart {
  kind: string;
  /** What the key is called until the group has decided. */
  creation: Uint8Array;
  commitments: Uint8Array[];
  possession: Uint8Array;
}

/** One key's part of a dealing, as its dealer makes it. `coefficients` and `own` are secret. */
export interface DealtPart {
  commitments: Uint8Array[];
  coefficients: Uint8Array[];
  /** The dealer's own number. */
  own: Uint8Array;
  /** The proof of possession, for a key that members create together. Null for every other key. */
  possession: Uint8Array | null;
}

/** Heavy arithmetic. A job is a pure function of these fields and of entropy that the driver adds. */
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
  /** §4 "Joint creation": whether every part of a key that members create together is proven. */
  | {
      kind: 'judge-parts';
      cluster: Uint8Array;
      plan: Uint8Array;
      dealer: number;
      threshold: number;
      parts: CreatedPart[];
    }
  /**
   * §4.3: what the accepted dealings make of each key that they cover. `halves`: their public halves,
   * encoded.
   */
  | { kind: 'sum-keys'; keys: KeyBefore[]; halves: Uint8Array[] }
  /** §4.5: whether each key's proof of trials is true. `members` made the trials, in this order. */
  | {
      kind: 'judge-retire';
      cluster: Uint8Array;
      epoch: number;
      value: Uint8Array;
      members: number[];
      keys: Array<{ setting: KeySetting; commitments: Uint8Array[]; proof: Uint8Array }>;
    }
  | {
      kind: 'apply';
      index: number;
      /**
       * Every key of the new value, with the share before (null for a created key) and the accepted
       * sub-shares.
       */
      keys: Array<{
        setting: KeySetting;
        commitments: Uint8Array[];
        before: Uint8Array | null;
        created: Uint8Array | null;
        /** True when `numbers` are the parts of a key that members created together. */
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
      /** The members of these trials, in the order of the trials. */
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
      /**
       * §5 step 2: adds the chosen masks to a helper's share, and seals the sum for the member that recovers.
       */
      kind: 'sum';
      index: number;
      root: number;
      /** `numbers`: the numbers of the chosen helpers' masks. */
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
        /** For each chosen helper, the commitments of its mask (not checked yet), and its sealed sum. */
        sums: Array<{ by: number; mask: Uint8Array[]; envelope: Uint8Array }>;
      }>;
      sealingSecret: Uint8Array;
      tie: Omit<EnvelopeTie, 'sender'>;
    };

/** The result of a job, of the same kind as the job. A job that no worker could do gives `failed`. */
export type JobResult =
  | { kind: 'deal'; parts: DealtPart[] }
  | { kind: 'seal'; sealed: Array<{ receiver: number; envelopes: Uint8Array[] }> }
  | { kind: 'check'; results: Array<{ digest: Uint8Array; numbers: Uint8Array[] | null }> }
  | { kind: 'judge-parts'; isTrue: boolean }
  /** Null where the dealings make no keys. */
  | { kind: 'sum-keys'; sums: KeySum[] | null }
  | { kind: 'judge-retire'; isTrue: boolean }
  | { kind: 'apply'; shares: Uint8Array[] | null }
  | { kind: 'trial'; trials: Trials }
  /** `members`: the members whose trials made the proofs, in that order. */
  | {
      kind: 'combine-trial';
      proofs: Uint8Array[] | null;
      members: number[];
      culprits: number[];
      suspects: number[];
    }
  | { kind: 'sum'; envelopes: Uint8Array[] }
  /** `culprits` sent false sums. `falseMasks` dealt masks that are no dealings. */
  | { kind: 'recover'; shares: Uint8Array[] | null; culprits: number[]; falseMasks: number[] }
  /**
   * No worker could do the job. This says nothing about the members in the job. The cause is from a closed
   * list, without a secret.
   */
  | { kind: 'failed'; cause: string };

/** One effect of a step. The driver performs the outputs in order. */
export type Output =
  /**
   * Always first: it is durable before any other output of the step leaves. `rotate` erases every older byte.
   */
  | { type: 'persist'; puts: [key: string, value: Uint8Array][]; deletes: string[]; rotate: boolean }
  | { type: 'send'; to: string; frame: Frame }
  | { type: 'publish'; frame: Frame }
  /**
   * Sends links from the archive to a peer that is behind: from this epoch on, as many as one frame holds.
   */
  | { type: 'send-links'; to: string; first: number }
  | { type: 'compute'; tag: JobTag; job: Job }
  /** The members that may connect have changed. */
  | { type: 'roster'; members: Member[] }
  /** A named rule fired. This is for the log, traces and transcripts, and holds no secret. */
  | { type: 'rule'; rule: PrintedName; detail: Record<string, string | number> }
  /** A peer sent something wrong. `reject` counts against the peer, and `ignore` does not. */
  | { type: 'refused'; from: string; code: string; action: RefusalAction; why: string };
