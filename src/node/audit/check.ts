/** Follows the chain of an audit log from its first line to its last, and reports where it was changed. */
import { type AuditExtent, type AuditHead, type AuditLine, hashOfLine, parseLine } from './entry.ts';
import { type AuditFile, auditFiles, isGone, linesAre, linesOf } from './files.ts';

/** The result of a check. */
export interface AuditReport {
  files: number;
  /** The numbers of the oldest and the newest line. Null when there is no line. */
  first: number | null;
  last: number | null;
  /** The findings, each in one line. Empty when the log is whole. */
  findings: string[];
}

/**
 * Checks all lines in `folder`. `extent` is the beginning and the end that the writing daemon told before the
 * check. With null (no daemon to ask), lines about pruning are believed, and missing lines at the end are not
 * found.
 * @throws the system's errors (as a rejection) when a file cannot be read
 */
export async function checkAudit(folder: string, extent: AuditExtent | null): Promise<AuditReport> {
  let files = auditFiles(folder);
  for (;;)
    try {
      const chain = new Chain(extent);
      for (const file of files) for await (const text of linesOf(file)) chain.add(file, text);
      return { files: files.length, ...chain.end() };
    } catch (error) {
      // The daemon may have pruned the file since the files were listed. If the same files are listed still,
      // the error is real.
      const before = String(files.map(({ name }) => name));
      files = auditFiles(folder);
      if (!isGone(error) || String(files.map(({ name }) => name)) === before) throw error;
    }
}

class Chain {
  readonly #findings: string[] = [];
  readonly #pruned = new Map<number, string>();
  #first: { line: number; previous: string } | null = null;
  #before: AuditHead | null = null;
  /** A piece of text that is no line. It counts as torn when nothing follows it. */
  #unreadable: string | null = null;
  readonly #extent: AuditExtent | null;
  #headSeen = false;
  #beginSeen = false;

  constructor(extent: AuditExtent | null) {
    this.#extent = extent;
  }

  add(file: AuditFile, text: string): void {
    if (this.#unreadable !== null) {
      this.#findings.push(`${this.#unreadable} is no line of an audit log: it was changed`);
      this.#before = null;
    }
    this.#unreadable = null;
    const line = parseLine(text);
    if (line === null) {
      this.#unreadable = `${file.name}: what follows line ${this.#before?.line ?? 0}`;
      return;
    }
    this.#follow(file, line);
    if (line.event === 'pruned') this.#pruned.set(Number(line.last), String(line.hash));
    this.#before = { line: line.line, hash: hashOfLine(text) };
    const extent = this.#extent;
    if (line.line === extent?.line) this.#headSeen = this.#before.hash === extent.hash;
    if (line.line === extent?.firstKept) this.#beginSeen = line.previous === extent.firstKeptPrevious;
  }

  #follow(file: AuditFile, { line, previous }: AuditLine): void {
    const before = this.#before;
    if (this.#first === null) {
      this.#first = { line, previous };
      return;
    }
    if (before === null) return; // A finding names the line before already.
    if (line > before.line + 1)
      this.#findings.push(`${file.name}: ${linesAre(before.line + 1, line - 1)} missing`);
    else if (line <= before.line)
      this.#findings.push(
        `${file.name}: line ${line} stands after line ${before.line}: the order was changed`,
      );
    else if (previous !== before.hash)
      this.#findings.push(
        `${file.name}: line ${before.line} was changed, or line ${line}: it does not follow from the line before`,
      );
  }

  /** The finding about the beginning of the log. Null when the beginning is right. */
  #beginning(): string | null {
    const first = this.#first;
    const extent = this.#extent;
    if (first === null) return null;
    if (extent === null)
      return first.line > 1 && this.#pruned.get(first.line - 1) !== first.previous
        ? `${linesAre(1, first.line - 1)} missing, and no later line records that they were pruned`
        : null;
    const { firstKept } = extent;
    if (first.line > firstKept)
      return `${linesAre(firstKept, first.line - 1)} missing: the daemon pruned ${firstKept === 1 ? 'nothing' : `only what was before line ${firstKept}`}`;
    return this.#beginSeen || extent.line < firstKept
      ? null
      : `line ${firstKept} is not the oldest one that the daemon kept: it was changed`;
  }

  end(): Pick<AuditReport, 'first' | 'last' | 'findings'> {
    const findings = [...this.#findings];
    const first = this.#first;
    const head = this.#extent;
    const last = this.#before?.line ?? null;
    const beginning = this.#beginning();
    if (beginning !== null) findings.unshift(beginning);
    if (head !== null && (last ?? 0) < head.line)
      findings.push(
        `${linesAre((last ?? 0) + 1, head.line)} missing at the end: the daemon had written line ${head.line}`,
      );
    else if (head !== null && head.line > 0 && !this.#headSeen)
      findings.push(`line ${head.line} is not the one that the daemon wrote`);
    // While a daemon writes, half a line at the end is a line that it has not finished.
    else if (head === null && this.#unreadable !== null)
      findings.push(
        `${this.#unreadable} is no whole line: a crash left it, which the next start records, or it was changed`,
      );
    return { first: first?.line ?? null, last, findings };
  }
}
