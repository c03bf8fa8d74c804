/** Follows the chain of an audit log from its first line to its last, and says where it was changed. */
import { type AuditExtent, type AuditHead, type AuditLine, hashOfLine, parseLine } from './entry.ts';
import { type AuditFile, auditFiles, isGone, linesAre, linesOf } from './files.ts';

export interface AuditReport {
  files: number;
  /** Numbers of the oldest and the newest line; null when there is none. */
  first: number | null;
  last: number | null;
  /** What is wrong, each in one line; empty when the log is whole. */
  findings: string[];
}

/**
 * Checks all lines in `folder`.
 * @param extent where the daemon that writes it said before that the log begins and ends; null when none can be asked:
 * what lines say of pruning is believed then, and nothing is known of lines missing at the end
 */
export async function checkAudit(folder: string, extent: AuditExtent | null): Promise<AuditReport> {
  let files = auditFiles(folder);
  for (;;)
    try {
      const chain = new Chain(extent);
      for (const file of files) for await (const text of linesOf(file)) chain.add(file, text);
      return { files: files.length, ...chain.end() };
    } catch (error) {
      // Pruned since it was listed, unless it is listed still.
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
  /** A line that does not read as one: torn when nothing follows it. */
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
    if (before === null) return; // the line before is named already
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

  /** What is wrong with where the log begins; null when nothing is. */
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
    // While a daemon writes, half a line is one that it has not finished.
    else if (head === null && this.#unreadable !== null)
      findings.push(
        `${this.#unreadable} is no whole line: a crash left it, which the next start records, or it was changed`,
      );
    return { first: first?.line ?? null, last, findings };
  }
}
