/** What comes of using a key, as whoever asked is told. */
import type { KeyRecord } from '../../protocol/records/value.ts';

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
