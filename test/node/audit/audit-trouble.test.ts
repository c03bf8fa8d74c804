/** What the audit log says after a disk that took no lines, and of lines with any text in them. */
import { appendFileSync, mkdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { AuditLog } from '../../../src/node/audit/audit-log.ts';
import { checkAudit } from '../../../src/node/audit/check.ts';
import { type AuditEntry, type AuditLine, parseLine } from '../../../src/node/audit/entry.ts';
import { auditFileName, auditFiles } from '../../../src/node/audit/files.ts';
import { temporaryFolder } from '../store/support.ts';

const epoch = (number: number): AuditEntry => ({
  event: 'epoch',
  phase: 'decided',
  epoch: number,
  value: 'ab'.repeat(32),
});

async function opened(fileBytesMax = 1024 * 1024) {
  const folder = join(temporaryFolder(), 'audit');
  let recovered = (): void => {};
  const log = await AuditLog.open({
    folder,
    fileBytesMax,
    filesKept: 4,
    wallMs: () => 1_800_000_000_000,
    remembered: null,
    remember: async () => {},
    onTrouble: (error) => {
      if (error === null) recovered();
    },
    retryMs: 5,
  });
  onTestFinished(() => log.close().catch(() => {}));
  const recovery = new Promise<void>((resolve) => {
    recovered = resolve;
  });
  const lines = (event: string): AuditLine[] =>
    auditFiles(folder)
      .flatMap(({ path }) => readFileSync(path, 'utf8').split('\n').slice(0, -1))
      .flatMap((text) => parseLine(text) ?? [])
      .filter((line) => line.event === event);
  return { folder, log, recovery, lines };
}

test('a line ends with a newline and nothing else: no other separator in its text changes the chain', async () => {
  const { folder, log } = await opened();
  for (const text of ['\u2028', '\u2029', '\u0085', '\r', '\r\n', 'x'])
    await log.append({ event: 'torn', bytes: 1, text: `before${text}after` });
  expect(await checkAudit(folder, log.extent)).toMatchObject({ last: 6, findings: [] });
});

test('each line that was lost is counted once', async () => {
  const { folder, log, recovery, lines } = await opened();
  await log.append(epoch(1));
  rmSync(folder, { recursive: true });
  const lost = await Promise.allSettled([2, 3, 4].map((at) => log.append(epoch(at))));
  expect(lost.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
  mkdirSync(folder);
  await recovery;
  expect(lines('missed').map(({ count }) => count)).toEqual([3]);
});

test('a change that was found when its line could not be written is written later', async () => {
  const { folder, log, recovery, lines } = await opened(10);
  await log.append(epoch(1));
  appendFileSync(auditFiles(folder)[0]?.path ?? '', 'somebody was here');
  const next = join(folder, auditFileName(2));
  mkdirSync(next); // no file can be opened there
  await expect(log.append(epoch(2))).rejects.toMatchObject({ name: 'StoreError' });
  rmdirSync(next);
  await recovery;
  expect(lines('damaged')).toMatchObject([{ what: expect.stringContaining('added to by somebody else') }]);
});
