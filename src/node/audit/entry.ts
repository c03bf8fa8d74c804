/**
 * One line of the audit log: what happened, its number, its time, and the hash of the line before. No field holds a
 * secret: of what is signed there is the digest, of what is decrypted the hash of the ciphertext.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { KeyUse } from '../../protocol/records/value.ts';

/** Which use of a key was asked for, and by whom. Names are null where this peer knows no such client or key. */
export interface UseAsked {
  /** The client's public key, hex. */
  client: string;
  clientName: string | null;
  /** The key's id, hex. */
  key: string;
  keyName: string | null;
  operation: KeyUse;
  scheme: string | null;
  hash: string | null;
  /** Hex: the digest that is signed, or the SHA-256 of the ciphertext. */
  digest: string;
  /** Hash of the signed request, hex: the same at every peer that was asked. */
  request: string;
}

export type AuditEntry =
  | { event: 'start'; pid: number; cluster: string; peer: string }
  | { event: 'stop' }
  /** A client asked this daemon. `signers`: whose partials made the answer. */
  | ({
      event: 'use';
      outcome: 'answered' | 'refused' | 'failed';
      epoch: number | null;
      signers: string[];
      code: string | null;
    } & UseAsked)
  /** A member (`from`), perhaps this one, asked this peer for its partial. */
  | ({
      event: 'partial';
      from: string;
      outcome: 'given' | 'refused';
      epoch: number;
      code: string | null;
    } & UseAsked)
  /** More of what the lines before show, that was counted instead of written. */
  | {
      event: 'repeated';
      what: 'use' | 'partial' | 'order';
      from: string;
      outcome: string;
      code: string | null;
      count: number;
      since: string;
    }
  /** `by`: the operator at this daemon, or the group. */
  | {
      event: 'order';
      by: 'operator' | 'group';
      outcome: 'accepted' | 'refused';
      order: string;
      sequence: number;
      /** What it does, in the order in which it does it. */
      actions: string[];
      code: string | null;
    }
  | { event: 'epoch'; phase: 'decided' | 'retired'; epoch: number; value: string }
  /** The machine's clock jumped. */
  | { event: 'clock'; stepMs: number }
  /** Which members run on two machines, as this peer sees it now: `status` has the same sentences. None: no more. */
  | { event: 'two-machines'; what: string[] }
  /** A line that a crash left half written; nobody was told of it. */
  | { event: 'torn'; bytes: number; text: string }
  /** Lines were changed or removed. */
  | { event: 'damaged'; what: string }
  /** The oldest file was removed, as configured; `hash` is that of its last line. */
  | { event: 'pruned'; file: string; first: number; last: number; hash: string }
  /** Lines that could not be written when they happened, and are lost. */
  | { event: 'missed'; count: number; why: string };

const lineSchema = z.looseObject({
  line: z.number().int().min(1),
  at: z.string(),
  event: z.string(),
  previous: z.string().regex(/^[0-9a-f]{64}$/),
});
/** A line as it is read: the entry's fields, checked only as far as the chain needs them. */
export type AuditLine = z.infer<typeof lineSchema>;

/** The end of the chain: the last line's number, and the SHA-256 of its text, hex. */
const auditHeadSchema = z.strictObject({ line: z.int().min(0), hash: z.string() });
export type AuditHead = z.infer<typeof auditHeadSchema>;

/**
 * The log from end to beginning: its head, and the first line that was not pruned, with what that line
 * follows from.
 */
export const auditExtentSchema = z.strictObject({
  ...auditHeadSchema.shape,
  firstKept: z.int().min(1).describe('the oldest line that was not pruned as configured'),
  firstKeptPrevious: z.string().describe('the hash of the line before that'),
});
export type AuditExtent = z.infer<typeof auditExtentSchema>;

/** What the sealed store remembers. `closed`: the daemon stopped with this head, so that nothing may follow it. */
export const auditMemorySchema = z.union([
  z.strictObject({ ...auditExtentSchema.shape, closed: z.boolean() }),
  // As version 0.1.0 wrote it at first: where the log began is taken from what is there, once.
  auditHeadSchema,
]);
export type AuditMemory = AuditExtent & { closed: boolean };

/** Before the first line. */
export const emptyHead: AuditHead = { line: 0, hash: '0'.repeat(64) };
export const emptyExtent: AuditExtent = { ...emptyHead, firstKept: 1, firstKeptPrevious: emptyHead.hash };

/** SHA-256 of a line without its newline, as `sha256sum` gives it. */
export const hashOfLine = (text: string): string => createHash('sha256').update(text).digest('hex');

/** The text of the line that follows `head`, without newline, and the head after it. */
export function nextLine(
  head: AuditHead,
  entry: AuditEntry,
  wallMs: number,
): { text: string; head: AuditHead } {
  const at = new Date(wallMs).toISOString();
  const text = JSON.stringify({ line: head.line + 1, at, ...entry, previous: head.hash });
  return { text, head: { line: head.line + 1, hash: hashOfLine(text) } };
}

/** Null for anything that is no line of an audit log. */
export function parseLine(text: string): AuditLine | null {
  try {
    return lineSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
