/** The audit log: durable before anyone is told, whole across crashes and rotation, and every change of it is found. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AuditLog } from '../../../src/node/audit/audit-log.ts';
import { checkAudit } from '../../../src/node/audit/check.ts';
import {
  type AuditEntry,
  type AuditExtent,
  type AuditMemory,
  nextLine,
  parseLine,
} from '../../../src/node/audit/entry.ts';
import { auditFileName, auditFiles } from '../../../src/node/audit/files.ts';
import { AuditFollower } from '../../../src/node/audit/follower.ts';
import { Repeats } from '../../../src/node/audit/repeats.ts';
import { VirtualTime } from '../../../src/simulation/world/virtual-time.ts';
import { temporaryFolder } from '../store/support.ts';

const epoch = (number: number): AuditEntry => ({
  event: 'epoch',
  phase: 'decided',
  epoch: number,
  value: 'ab'.repeat(32),
});

/** A log with a store that remembers its end; `remembered` survives the log. */
class Bench {
  readonly folder = join(temporaryFolder(), 'audit');
  readonly troubles: Array<string | null> = [];
  remembered: AuditMemory | null = null;
  remember = async (memory: AuditMemory): Promise<void> => {
    this.remembered = memory;
  };

  async open(options: { fileBytesMax?: number; filesKept?: number } = {}): Promise<AuditLog> {
    const log = await AuditLog.open({
      folder: this.folder,
      fileBytesMax: 1024 * 1024,
      filesKept: 4,
      wallMs: () => 1_800_000_000_000,
      remembered: this.remembered,
      remember: (memory) => this.remember(memory),
      onTrouble: (error) => this.troubles.push(error?.code ?? null),
      retryMs: 5,
      ...options,
    });
    onTestFinished(() => log.close().catch(() => {}));
    return log;
  }

  /** A closed log of `count` lines. */
  async written(count: number, options: { fileBytesMax?: number; filesKept?: number } = {}): Promise<void> {
    const log = await this.open(options);
    for (let at = 1; at <= count; at += 1) await log.append(epoch(at));
    await log.close();
  }

  get file(): string {
    return auditFiles(this.folder)[0]?.path ?? '';
  }
  lines(): string[] {
    return auditFiles(this.folder).flatMap(({ path }) => readFileSync(path, 'utf8').split('\n').slice(0, -1));
  }
  rewrite(change: (lines: string[]) => string[]): void {
    writeFileSync(
      this.file,
      change(this.lines())
        .map((line) => `${line}\n`)
        .join(''),
    );
  }
  check(extent: AuditExtent | null = null) {
    return checkAudit(this.folder, extent);
  }
}

test('lines that many wait for at once are all there, in one chain that sha256sum follows', async () => {
  const bench = new Bench();
  const log = await bench.open();
  await Promise.all(Array.from({ length: 100 }, (_, at) => log.append(epoch(at))));
  expect(await bench.check(log.extent)).toEqual({ files: 1, first: 1, last: 100, findings: [] });
  const [first = '', second = ''] = bench.lines();
  const sum = execFileSync('sha256sum', { input: first, encoding: 'utf8' });
  expect(parseLine(second)?.previous).toBe(sum.slice(0, 64));
  expect(statSync(bench.file).mode & 0o777).toBe(0o600);
  expect(statSync(bench.folder).mode & 0o777).toBe(0o700);
});

test('an acknowledged line is on the disk before its promise resolves, without a close', async () => {
  const bench = new Bench();
  const log = await bench.open();
  await log.append(epoch(1));
  expect(bench.lines()).toHaveLength(1);
  const again = await bench.open();
  await again.append(epoch(2));
  expect((await bench.check()).findings).toEqual([]);
});

test('a torn last line is cut off and noted, and the chain goes on', async () => {
  const bench = new Bench();
  await bench.written(3);
  appendFileSync(bench.file, '{"line":4,"at":"20');
  expect((await bench.check()).findings).toHaveLength(1);
  const log = await bench.open();
  await log.append(epoch(4));
  const noted = bench
    .lines()
    .map((line) => parseLine(line))
    .find((line) => line?.event === 'torn');
  expect(noted).toMatchObject({ line: 4, bytes: 18, text: '{"line":4,"at":"20' });
  expect((await bench.check(log.extent)).findings).toEqual([]);
});

test('the chain goes on over files, and the end of each one that is removed is recorded', async () => {
  const bench = new Bench();
  await bench.written(60, { fileBytesMax: 1500, filesKept: 3 });
  const files = auditFiles(bench.folder);
  expect(files).toHaveLength(3);
  expect(files[0]?.first).toBeGreaterThan(1);
  const report = await bench.check(bench.remembered);
  expect(report.findings).toEqual([]);
  for (const { path } of files) expect(statSync(path).size).toBeLessThanOrEqual(2000);
  // One more that goes without a record is found.
  rmSync(files[0]?.path ?? '');
  expect((await bench.check()).findings[0]).toMatch(/^lines 1 to \d+ are missing, and no later line records/);
});

describe('the check finds', () => {
  const changes: Record<string, [(lines: string[]) => string[], RegExp]> = {
    'a changed line': [
      (lines) => lines.map((line) => line.replace('"epoch":3', '"epoch":9')),
      /line 3 was changed, or line 4/,
    ],
    'a removed line': [(lines) => lines.toSpliced(2, 1), /line 3 is missing/],
    'several removed lines': [(lines) => lines.toSpliced(2, 2), /lines 3 to 4 are missing/],
    'removed first lines': [(lines) => lines.slice(2), /lines 1 to 2 are missing/],
    'lines in another order': [
      ([a = '', b = '', c = '', ...rest]) => [a, c, b, ...rest],
      /the order was changed/,
    ],
    'a line that is none': [(lines) => lines.with(1, 'x'), /no line of an audit log/],
  };
  for (const [what, [change, finding]] of Object.entries(changes))
    test(what, async () => {
      const bench = new Bench();
      await bench.written(6);
      expect((await bench.check(bench.remembered)).findings).toEqual([]);
      bench.rewrite(change);
      expect((await bench.check(bench.remembered)).findings.join('\n')).toMatch(finding);
    });

  test('a tail that was cut off, when the end is known', async () => {
    const bench = new Bench();
    await bench.written(6);
    bench.rewrite((lines) => lines.slice(0, 4));
    expect((await bench.check()).findings).toEqual([]);
    expect((await bench.check(bench.remembered)).findings).toEqual([
      'lines 5 to 6 are missing at the end: the daemon had written line 6',
    ]);
  });

  test('a last line that was changed, when the end is known', async () => {
    const bench = new Bench();
    await bench.written(6);
    bench.rewrite((lines) => lines.map((line) => line.replace('"epoch":6', '"epoch":7')));
    expect((await bench.check(bench.remembered)).findings).toEqual([
      'line 6 is not the one that the daemon wrote',
    ]);
  });
});

describe('the daemon itself notices', () => {
  test('at its start, lines that its store remembers and the log lacks; the gap stays', async () => {
    const bench = new Bench();
    await bench.written(6);
    bench.rewrite((lines) => lines.slice(0, 4));
    const log = await bench.open();
    expect(log.damage).toMatch(/ends with line 4, and the store remembers line 6/);
    await log.append(epoch(7));
    expect((await bench.check(log.extent)).findings.join()).toMatch(/lines 5 to 6 are missing/);
  });

  test('at its start, that all of it is gone', async () => {
    const bench = new Bench();
    await bench.written(6);
    rmSync(bench.folder, { recursive: true });
    const log = await bench.open();
    expect(log.damage).not.toBeNull();
    await log.append(epoch(7));
    expect((await bench.check(log.extent)).findings.join()).toMatch(/lines 1 to 6 are missing/);
  });

  test('at its start, a remembered line that was changed', async () => {
    const bench = new Bench();
    await bench.written(6);
    bench.rewrite((lines) => lines.map((line) => line.replace('"epoch":6', '"epoch":7')));
    expect((await bench.open()).damage).toMatch(/line 6 is not the one/);
  });

  test('while it runs, a file that is cut, removed or added to', async () => {
    const add = (path: string): void => appendFileSync(path, 'x\n');
    for (const harm of [(path: string) => truncateSync(path, 100), (path: string) => rmSync(path), add]) {
      const bench = new Bench();
      const log = await bench.open();
      await log.append(epoch(1));
      await log.append(epoch(2));
      harm(bench.file);
      await log.append(epoch(3));
      expect(log.damage).not.toBeNull();
      const events = bench.lines().map((line) => parseLine(line)?.event);
      expect(events.slice(-2)).toEqual(['damaged', 'epoch']);
      // What was added is gone; what was taken stays missing.
      const { findings } = await bench.check(log.extent);
      if (harm === add) expect(findings).toEqual([]);
      else expect(findings).not.toEqual([]);
    }
  });
});

describe('a file that was removed while the daemon was stopped is no file that it pruned', () => {
  const rotated = { fileBytesMax: 1500, filesKept: 32 };
  const pruned = (last: number, hash: string): AuditEntry => ({
    ...{ event: 'pruned', file: auditFileName(1), first: 1 },
    ...{ last, hash },
  });

  test('when all are replaced by one that says so of every line before it', async () => {
    const bench = new Bench();
    await bench.written(20);
    rmSync(bench.file);
    const forged = { line: 999, hash: 'cd'.repeat(32) };
    const { text } = nextLine(forged, pruned(999, forged.hash), 0);
    writeFileSync(join(bench.folder, auditFileName(1000)), `${text}\n`);
    const log = await bench.open();
    expect(log.damage).toMatch(
      /stood behind line 20.* the log ends with line 0, and the store remembers line 20/,
    );
    await log.append(epoch(21));
    expect((await bench.check(log.extent)).findings).toEqual([
      'lines 1 to 20 are missing: the daemon pruned nothing',
    ]);
  });

  test('when the last one is left, and a line that follows from it says so', async () => {
    const bench = new Bench();
    await bench.written(20, rotated);
    const files = auditFiles(bench.folder);
    const [last] = files.slice(-1);
    if (last === undefined || bench.remembered === null) throw new Error('unreachable: it was written');
    const { previous = '' } = parseLine(readFileSync(last.path, 'utf8').split('\n')[0] ?? '') ?? {};
    for (const { path } of files.slice(0, -1)) rmSync(path);
    const forged = nextLine(bench.remembered, pruned(last.first - 1, previous), 0);
    appendFileSync(last.path, `${forged.text}\n`);
    // Without a daemon nothing contradicts it.
    expect((await bench.check()).findings).toEqual([]);
    const log = await bench.open(rotated);
    expect(log.damage).toMatch(/stood behind line 20.*; lines 1 to \d+ are missing/);
    await log.append(epoch(21));
    expect((await bench.check(log.extent)).findings).toEqual([
      expect.stringMatching(/^lines 1 to \d+ are missing: the daemon pruned nothing$/),
    ]);
    // And again, as long as they are missing.
    await log.close();
    expect((await bench.open(rotated)).damage).toMatch(/^lines 1 to \d+ are missing/);
  });

  test('when others were pruned: one more that is missing, or another in its place', async () => {
    const few = { fileBytesMax: 1500, filesKept: 3 };
    const missing = new Bench();
    await missing.written(60, few);
    rmSync(missing.file);
    const log = await missing.open(few);
    expect(log.damage).toMatch(/^lines \d+ to \d+ are missing: the file was removed, and not by the daemon$/);
    expect((await missing.check(log.extent)).findings).toEqual([
      expect.stringMatching(/are missing: the daemon pruned only what was before line \d+$/),
    ]);

    const other = new Bench();
    await other.written(60, few);
    const text = readFileSync(other.file, 'utf8');
    const line = parseLine(text.split('\n')[0] ?? '');
    writeFileSync(other.file, text.replace(line?.previous ?? '', 'cd'.repeat(32)));
    expect((await other.open(few)).damage).toMatch(/is not the one that the store remembers as the oldest/);
    expect((await other.check(other.remembered)).findings[0]).toMatch(
      /is not the oldest one that the daemon/,
    );
  });

  test('when lines follow the one with which the daemon stopped: they are moved aside', async () => {
    const bench = new Bench();
    await bench.written(3);
    if (bench.remembered === null) throw new Error('unreachable: it was closed');
    appendFileSync(bench.file, `${nextLine(bench.remembered, epoch(4), 0).text}\n`);
    const log = await bench.open();
    expect(log.damage).toMatch(/stood behind line 3/);
    const [aside = ''] = readdirSync(bench.folder).filter((name) => name.includes('.added-'));
    expect(parseLine(readFileSync(join(bench.folder, aside), 'utf8'))).toMatchObject({ line: 4, epoch: 4 });
    await log.append(epoch(4));
    expect(bench.lines().map((line) => parseLine(line)?.event)).toEqual([
      ...new Array(3).fill('epoch'),
      'damaged',
      'epoch',
    ]);
  });

  test('nor while it runs: what it prunes next does not cover what somebody else removed', async () => {
    const bench = new Bench();
    const few = { fileBytesMax: 600, filesKept: 3 };
    const log = await bench.open(few);
    for (let at = 1; auditFiles(bench.folder).length < 3; at += 1) await log.append(epoch(at));
    rmSync(bench.file);
    expect((await bench.check(log.extent)).findings).toEqual([
      expect.stringMatching(/are missing: the daemon pruned nothing$/),
    ]);
    for (let at = 1; log.extent.firstKept === 1; at += 1) await log.append(epoch(at));
    expect(log.damage).toMatch(/^lines 1 to \d+ are missing/);
    expect(bench.lines().map((line) => parseLine(line)?.event)).toContain('damaged');
  });
});

test('a kill at any instant, of rotation, pruning, start and stop too, is no damage', async () => {
  const bench = new Bench();
  const folders: Array<{ folder: string; remembered: AuditMemory | null }> = [];
  const kill = (): void => {
    const folder = join(temporaryFolder(), 'audit');
    cpSync(bench.folder, folder, { recursive: true });
    folders.push({ folder, remembered: bench.remembered });
  };
  const open = (folder: string, remembered: AuditMemory | null, remember: Bench['remember']) =>
    AuditLog.open({
      ...{ folder, remembered, remember, fileBytesMax: 600, filesKept: 2 },
      ...{ wallMs: () => 0, onTrouble: () => {}, retryMs: 5 },
    });
  for (let start = 0; start < 2; start += 1) {
    const log = await open(bench.folder, bench.remembered, async (memory) => {
      kill();
      await pause(1); // the store syncs
      kill();
      await bench.remember(memory);
      kill();
    });
    for (let at = 0; at < 8; at += 1) {
      const appended = log.append(epoch(at));
      for (let turn = 0; turn < 2; turn += 1) {
        await Promise.race([appended, new Promise((resolve) => setImmediate(resolve))]);
        kill();
      }
      await appended;
      kill();
    }
    await log.close();
    kill();
  }
  expect(bench.remembered?.firstKept).toBeGreaterThan(1);
  for (const { folder, remembered } of folders) {
    const log = await open(folder, remembered, async () => {});
    expect(log.damage).toBeNull();
    await log.append(epoch(0));
    expect((await checkAudit(folder, log.extent)).findings).toEqual([]);
    await log.close();
  }
});

test('no line is written before the store knows that lines follow; while it does not, that is a trouble', async () => {
  const bench = new Bench();
  await bench.written(2);
  let take = (): void => {};
  bench.remember = async (memory) => {
    if (!memory.closed) throw new Error('the store takes nothing');
  };
  const log = await bench.open();
  await expect(log.append(epoch(3))).rejects.toThrow('the store does not take where the audit log stands');
  expect(bench.lines()).toHaveLength(2);
  expect(bench.troubles).toEqual(['failed']);
  const recovered = new Promise<void>((resolve) => {
    take = resolve;
  });
  bench.remember = async (memory) => {
    bench.remembered = memory;
    take();
  };
  await recovered;
  await log.append(epoch(3));
  expect(bench.troubles).toEqual(['failed', null]);
});

test('what a store remembers that recorded no beginning yet is taken, with the beginning that is there', async () => {
  const bench = new Bench();
  await bench.written(60, { fileBytesMax: 1500, filesKept: 3 });
  const { line = 0, hash = '', firstKept } = bench.remembered ?? {};
  bench.remembered = { line, hash } as AuditMemory;
  const log = await bench.open();
  expect(log.damage).toBeNull();
  expect(log.extent.firstKept).toBe(firstKept);
});

test('a follower gets every line once, in order, over rotations and files that vanish before they are read', async () => {
  const bench = new Bench();
  const log = await bench.open({ fileBytesMax: 600, filesKept: 2 });
  const follower = new AuditFollower(bench.folder);
  const gone = join(bench.folder, auditFileName(0));
  const numbers: number[] = [];
  const pruned = () => !auditFiles(bench.folder).some(({ first }) => first === 1);
  for (let at = 1; at <= 20; at += 1) {
    await log.append(epoch(at));
    symlinkSync('nowhere', gone); // listed, and not there when it is opened
    numbers.push(...follower.next().map((text) => parseLine(text)?.line ?? 0));
    rmSync(gone);
  }
  expect(pruned()).toBe(true);
  expect(numbers).toEqual(Array.from({ length: log.head.line }, (_, at) => at + 1));
});

test('a check goes on when files are pruned while it runs', async () => {
  const bench = new Bench();
  const log = await bench.open({ fileBytesMax: 600, filesKept: 2 });
  for (let at = 1; auditFiles(bench.folder).length < 2; at += 1) await log.append(epoch(at));
  const old = auditFiles(bench.folder).map(({ path }) => ({ path, text: readFileSync(path) }));
  for (let at = 1; old.some(({ path }) => statSync(path, { throwIfNoEntry: false })); at += 1)
    await log.append(epoch(at));
  for (const { path, text } of old) writeFileSync(path, text);
  const checking = checkAudit(bench.folder, log.extent); // has listed the files
  for (const { path } of old) rmSync(path);
  expect(await checking).toMatchObject({ files: 2, findings: [] });
});

test('of repeated requests the first ten of a kind in a minute get lines, the rest one count', async () => {
  const time = new VirtualTime();
  const noted: AuditEntry[] = [];
  const repeats = new Repeats({ clock: time.clock(), note: (entry) => noted.push(entry) });
  const kind = { what: 'partial', from: 'b', outcome: 'refused', code: 'bad-signature' } as const;
  const admitted = Array.from({ length: 1000 }, () => repeats.admits(kind)).filter(Boolean);
  expect(admitted).toHaveLength(10);
  expect(repeats.admits({ ...kind, from: 'c' })).toBe(true);
  while (await time.next()) {}
  expect(noted).toMatchObject([{ event: 'repeated', from: 'b', code: 'bad-signature', count: 990 }]);
  expect(repeats.admits(kind)).toBe(true);
});
