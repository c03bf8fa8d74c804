/** What a daemon shows of itself: the one set of shapes that the API answers, the command line prints and tests read. */
import type { Link } from '../protocol/link.ts';
import type { Order } from '../protocol/order.ts';
import type { Packet } from '../protocol/packet.ts';
import type { DecryptBody, SignBody, UseRequest } from '../protocol/use-request.ts';
import type { KeyRecord } from '../protocol/value.ts';

export interface Problem {
  /** Stable word for programs, e.g. `refresh-waits`, `no-share`, `waiting-for-admission`. */
  code: string;
  what: string;
  /** What a person can do about it. */
  remedy: string;
}

export interface ChangeView {
  /** The epoch that the undecided change leads to. */
  epoch: number;
  phase: 'gathering' | 'dealing' | 'agreeing' | 'applying' | 'retiring';
  round: number | null;
  attending: string[];
  /** Members from whom this peer has no Attend (or, while retiring, no Ready). */
  missing: string[];
  /** Attends (or Readys) that are needed. */
  needed: number;
  sinceMs: number;
}

export interface StatusView {
  name: string;
  peer: string;
  cluster: string;
  clusterName: string;
  state: 'waiting-for-admission' | 'member' | 'evicted';
  index: number | null;
  fingerprint: string | null;
  cipher: string;
  gate: number;
  epoch: number | null;
  threshold: number;
  members: number;
  faults: number;
  quorum: number;
  faultModel: 'byzantine' | 'crash';
  /** The sentence that says what n and k mean. */
  choice: string | null;
  keys: number;
  /** Epochs of which this peer holds its share. */
  shareEpochs: number[];
  connected: string[];
  lastChangeAtMs: number | null;
  nextRefreshAtMs: number | null;
  change: ChangeView | null;
  problems: Problem[];
}

export interface PeerView {
  name: string;
  peer: string;
  /** Public epoch key, hex: of a waiting peer its first one, which the operator signs into the roster. */
  epochKey: string;
  state: 'member' | 'waiting';
  index: number | null;
  connected: boolean;
  authenticated: boolean;
  self: boolean;
  fingerprint: string | null;
  addresses: string[];
}

export interface EpochView {
  epoch: number;
  value: string;
  members: string[];
  threshold: number;
  keys: string[];
  /** Names whose dealings were accepted; `operator` for a key's creation. */
  dealt: string[];
  /** Members that attended without an accepted dealing. */
  didNotDeal: string[];
  /** Members without an Attend in this change. */
  missing: string[];
  /** Members caught with two contradicting messages. */
  contradicted: string[];
  /** What members were seen doing wrong, and the kind of evidence. */
  blamed: Array<{ member: string; kind: string }>;
  round: number | null;
  decidedAtMs: number | null;
  retired: boolean;
  /** Verification key of every member for every key, as hashes: all change with every refresh. */
  verificationKeys: Array<{ key: string; member: string; hash: string }>;
}

export interface KeyView {
  name: string;
  id: string;
  use: 'sign' | 'decrypt';
  bits: number;
  /** Lower-case hex, big-endian. */
  modulus: string;
  exponent: string;
}

/** What a key's creator needs to deal (§4 "Creation"): who attends the plan with its order, checked by the caller. */
export interface CreationView {
  head: Link;
  plan: Uint8Array | null;
  attends: Packet[];
  orders: Order[];
}

export interface SignAnswer {
  signature: Uint8Array;
  epoch: number;
  signers: string[];
}

/** Partials that only the client that asked can open, with the public values that it needs to combine them. */
export interface DecryptAnswer {
  epoch: number;
  threshold: number;
  membersMax: number;
  key: KeyRecord;
  /** Of the key in that epoch, to check proofs by. */
  commitments: Uint8Array[];
  /** `threshold` of them, or more when proofs were asked for. */
  partials: Array<{ index: number; name: string; envelope: Uint8Array }>;
}

/** Thrown by `Daemon` methods; `code` decides the exit code and the HTTP status. */
export type DaemonErrorCode = 'refused' | 'not-enough-peers' | 'not-a-member' | 'unknown' | 'busy';
export class DaemonError extends Error {
  readonly code: DaemonErrorCode;
  /** Names of those who did not answer, or the refusals' codes by name. */
  readonly details: Record<string, string>;
  constructor(code: DaemonErrorCode, message: string, details: Record<string, string> = {}) {
    super(message);
    this.name = 'DaemonError';
    this.code = code;
    this.details = details;
  }
}

/** What the API serves. Everything that changes the group is signed by an operator, every use of a key by a client. */
export interface DaemonApi {
  status(): StatusView;
  peers(): PeerView[];
  /** Newest first; `from`/`limit` page through history. */
  epochs(options?: { epoch?: number; limit?: number }): Promise<EpochView[]>;
  keys(): KeyView[];
  /** Opens the lobby for `openForMs` and returns the invitation's text. */
  invite(openForMs: number): Promise<string>;
  /** Takes the operator-signed epoch 0; refused when one exists already. */
  found(link: Link): Promise<void>;
  /** Queues an operator's order; resolves when it is durable here. Refused when it does not fit the newest value. */
  submitOrder(order: Order): Promise<void>;
  creation(orderHash: Uint8Array): CreationView;
  /** Dealing packets of the operator's command (`by` 0), one per receiver. */
  submitDealings(packets: readonly Packet[]): Promise<void>;
  links(from: number): Promise<Link[]>;
  /** Starts an epoch change as soon as the minimum interval allows. */
  refresh(): void;
  /** Asks k peers for partials and combines; rejects with `not-enough-peers` when `timeoutMs` passes. */
  sign(request: UseRequest<SignBody>, timeoutMs: number): Promise<SignAnswer>;
  /**
   * Sealed partials for the client to combine: of the first k peers, or with `prove` and their proofs of all who answer
   * in time. Rejects as `sign` does.
   */
  decrypt(
    request: UseRequest<DecryptBody>,
    options: { prove: boolean; timeoutMs: number },
  ): Promise<DecryptAnswer>;
  /** Calls `listener` after every change of status (epoch decided, retired, peer connected, …); returns the undo. */
  onChange(listener: () => void): () => void;
}
