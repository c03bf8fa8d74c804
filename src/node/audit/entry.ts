/**
 * One line of the audit log: its number, its time, the event, and the hash of the line before. No field holds
 * a secret. A signing request appears with its digest, and a decryption with the hash of the ciphertext.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { KeyUse } from '../../protocol/records/value.ts';

/** The use of a key that a client asked for. A name is null when this peer knows no such client or key. */
export interface UseAsked {
  /** The client's public key, in hex. */
  client: string;
  clientName: string | null;
  /** The key's id, in hex. */
  key: string;
  keyName: string | null;
  operation: KeyUse;
  scheme: string | null;
  hash: string | null;
  /** In hex: the digest that is signed, or the SHA-256 of the ciphertext. */
  digest: string;
  /** The hash of the signed request, in hex. It is the same at every peer that was asked. */
  request: string;
}

/** The content of a line. README.md lists the events. */
export type AuditEntry =
  | { event: 'start'; pid: number; cluster: string; peer: string }
  | { event: 'stop' }
  /** A client asked this daemon. `signers` are the members whose partials made the answer. */
  | ({
      event: 'use';
      outcome: 'answered' | 'refused' | 'failed';
      epoch: number | null;
      signers: string[];
      code: string | null;
    } & UseAsked)
  /** The member `from` asked this peer for its partial. It may be this peer itself. */
  | ({
      event: 'partial';
      from: string;
      outcome: 'given' | 'refused';
      epoch: number;
      code: string | null;
    } & UseAsked)
  /** Further events of a kind that has its lines. They were counted and not written. */
  | {
      event: 'repeated';
      what: 'use' | 'partial' | 'order';
      from: string;
      outcome: string;
      code: string | null;
      count: number;
      since: string;
    }
  /** `by`: the order came from an operator at this daemon, or from the group. */
  | {
      event: 'order';
      by: 'operator' | 'group';
      outcome: 'accepted' | 'refused';
      order: string;
      sequence: number;
      /** The types of the order's actions, in order. */
      actions: string[];
      code: string | null;
    }
  | { event: 'epoch'; phase: 'decided' | 'retired'; epoch: number; value: string }
  /** Somebody set the machine's clock. */
  | { event: 'clock'; stepMs: number }
  /**
   * The members that run on two machines, as this peer sees them now, in the sentences of `status`. None: no
   * longer.
   */
  | { event: 'two-machines'; what: string[] }
  /** A crash left half a line. Nobody was told that this line was written. */
  | { event: 'torn'; bytes: number; text: string }
  /** Somebody changed or removed lines. */
  | { event: 'damaged'; what: string }
  /** The daemon removed the oldest file, as the settings say. `hash` is the hash of the file's last line. */
  | { event: 'pruned'; file: string; first: number; last: number; hash: string }
  /** Lines that could not be written at their time. They are lost. */
  | { event: 'missed'; count: number; why: string };

/** The version of a line. A line of a later version may say what this program does not understand. */
export const auditLineVersion = 1;

const lineSchema = z.looseObject({
  v: z.int().min(1),
  line: z.number().int().min(1),
  at: z.string(),
  event: z.string(),
  previous: z.string().regex(/^[0-9a-f]{64}$/),
});
/** A line that was read. Only the fields that the chain needs are checked. */
export type AuditLine = z.infer<typeof lineSchema>;

/** The end of the chain: the number of the last line, and the SHA-256 of its text in hex. */
const auditHeadSchema = z.strictObject({ line: z.int().min(0), hash: z.string() });
export type AuditHead = z.infer<typeof auditHeadSchema>;

/** The extent of the log: its head, the first line that was not pruned, and the hash before that line. */
export const auditExtentSchema = z.strictObject({
  ...auditHeadSchema.shape,
  firstKept: z.int().min(1).describe('the oldest line that was not pruned as configured'),
  firstKeptPrevious: z.string().describe('the hash of the line before that'),
});
export type AuditExtent = z.infer<typeof auditExtentSchema>;

/**
 * The sealed store's record of the log. `closed`: the daemon stopped with this head, so no line may follow
 * it.
 */
export const auditMemorySchema = z.union([
  z.strictObject({ ...auditExtentSchema.shape, closed: z.boolean() }),
  // The first form of version 0.1.0. It lacks the beginning, which is then read from the files, once.
  auditHeadSchema,
]);
export type AuditMemory = AuditExtent & { closed: boolean };

/** The head before the first line. */
export const emptyHead: AuditHead = { line: 0, hash: '0'.repeat(64) };
/** The extent of a log without a line. */
export const emptyExtent: AuditExtent = { ...emptyHead, firstKept: 1, firstKeptPrevious: emptyHead.hash };

/** The SHA-256 of a line without its newline, in hex, as `sha256sum` prints it. */
export const hashOfLine = (text: string): string => createHash('sha256').update(text).digest('hex');

/**
 * The line that follows `head`, without its newline, and the head after it. `wallMs` is Unix time in
 * milliseconds.
 */
export function nextLine(
  head: AuditHead,
  entry: AuditEntry,
  wallMs: number,
): { text: string; head: AuditHead } {
  const at = new Date(wallMs).toISOString();
  const text = JSON.stringify({
    v: auditLineVersion,
    line: head.line + 1,
    at,
    ...entry,
    previous: head.hash,
  });
  return { text, head: { line: head.line + 1, hash: hashOfLine(text) } };
}

/** The line in a text. Null for a text that is no line of an audit log. */
export function parseLine(text: string): AuditLine | null {
  try {
    return lineSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
