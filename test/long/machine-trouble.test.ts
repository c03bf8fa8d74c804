/**
 * A daemon whose disk is full or read-only, or that has no file descriptor left, says so, lets nothing leave
 * that is not durable, and goes on by itself when the trouble passes. Only trouble with disks needs root, for
 * small file systems of its own.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab } from '../../src/lab/lab.ts';
import { SigningProgram } from '../../src/lab/signing-program.ts';
import { checkAudit } from '../../src/node/audit/check.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';
import { untilProblem } from '../system/support.ts';

const run = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { encoding: 'utf8', stdio: 'pipe' });

/** Whether this machine lets us mount. */
function mountable(): boolean {
  const place = mkdtempSync(join(tmpdir(), 'holdfast-mount-'));
  try {
    run('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', place);
    run('umount', place);
    return true;
  } catch {
    process.stdout.write(
      'skipped: trouble with disks is tried on file systems of our own, which needs root\n',
    );
    return false;
  } finally {
    rmSync(place, { recursive: true });
  }
}

/** Asks for a refresh, for which all three are needed; resolves to the function that waits for it. */
async function refreshAsked(lab: Lab, program: SigningProgram): Promise<() => Promise<void>> {
  const { epoch } = await lab.api('a').status();
  await lab.api('a').refresh();
  return async () => {
    await lab.untilEpoch((epoch ?? 0) + 1);
    for (const name of lab.names) {
      const { signers } = await program.sign(name, 'after');
      expect(signers).toHaveLength(2);
    }
  };
}

const recovered = (lab: Lab) =>
  lab.until('c', async (api) =>
    (await api.status()).problems.some(({ code }) => /^disk|descriptors/.test(code)) ? null : true,
  );

describe.skipIf(!mountable())('2-of-3, one peer with a disk of 6 MiB', () => {
  const dir = mkdtempSync(join(tmpdir(), 'holdfast-trouble-'));
  const home = join(dir, 'c');
  const filling = join(home, 'store', 'filling');
  let lab: Lab;
  let program: SigningProgram;

  beforeAll(async () => {
    mkdirSync(home);
    run('mount', '-t', 'tmpfs', '-o', 'size=6m,mode=0700', 'tmpfs', home);
    lab = await Lab.create({ peers: 3, threshold: 2, dir });
    await lab.createKey('ca', readyPrimes(2048));
    program = await SigningProgram.of(lab, 'ca');
  });
  afterAll(async () => {
    await lab?.close();
    run('umount', '-R', home);
    rmSync(dir, { recursive: true });
  });

  const epochNow = async () => (await lab.api('a').status()).epoch;

  test('a full disk: named; signing goes on at the others; refreshes go on when there is room, with no restart', async () => {
    const before = await epochNow();
    const { pid } = lab.peer('c');
    try {
      writeFileSync(filling, new Uint8Array(16 * 1024 * 1024), { mode: 0o600 });
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
    }
    const refreshed = await refreshAsked(lab, program);
    expect(await untilProblem(lab, 'c', 'disk-full', /takes no part/)).toMatch(
      /^The disk of the home is full/,
    );
    expect(readFileSync(lab.peer('c').logFile, 'utf8')).toMatch(/no space left for .*: free some/);
    // Without its line in the audit log c gives no answer; the others do without it.
    // (Some lines still fit into the block that the log ends in.)
    let refusal: unknown = null;
    for (let at = 0; at < 40 && refusal === null; at += 1)
      refusal = await program.sign('c', `meanwhile ${at}`).then(
        () => null,
        (error: unknown) => error,
      );
    expect(refusal).toMatchObject({ code: 'unavailable', cause: { code: 'unwritable' } });
    expect((await program.sign('a', 'meanwhile')).signers).not.toContain('c');
    expect(await epochNow()).toBe(before);

    rmSync(filling);
    await refreshed();
    await recovered(lab);
    expect(lab.peer('c').pid).toBe(pid);
    const report = await checkAudit(join(home, 'audit'), await lab.api('c').audit());
    expect(report.findings).toEqual([]);
  });

  test('a read-only disk: named; nothing is sent that it could not keep; it goes on when it may write', async () => {
    const before = await epochNow();
    run('mount', '--bind', home, home);
    run('mount', '-o', 'remount,bind,ro', home);
    const refreshed = await refreshAsked(lab, program);
    expect(await untilProblem(lab, 'c', 'disk-read-only', /takes no part/)).toMatch(/cannot be written/);
    expect((await program.sign('a', 'meanwhile')).signature).toHaveLength(256);
    expect(await epochNow()).toBe(before);
    // The daemon may be reading a file there.
    run('umount', '-l', home);
    await refreshed();
    await recovered(lab);
  });
});

describe('2-of-3', () => {
  let lab: Lab;
  let program: SigningProgram;

  beforeAll(async () => {
    lab = await Lab.create({ peers: 3, threshold: 2 });
    await lab.createKey('ca', readyPrimes(2048));
    program = await SigningProgram.of(lab, 'ca');
  });
  afterAll(() => lab?.close());

  test('a clock that is set two hours ahead, and back: named; refreshes and the others’ signatures go on', async () => {
    const shift = join(lab.dir, 'shift.mjs');
    // The machine's clock, not ours: Date.now is what the daemon reads it by.
    writeFileSync(
      shift,
      `const now = Date.now; let ahead = 0;
      Date.now = () => now() + ahead;
      process.on('SIGUSR2', () => { ahead = ahead === 0 ? 7200_000 : 0; });`,
    );
    await lab.peer('c').stop();
    await lab.peer('c').start({ NODE_OPTIONS: `--import ${shift}` });
    await lab.until('c', async (api) =>
      (await api.status()).problems.some(({ code }) => code === 'recalling') ? null : true,
    );
    for (const words of [/ahead by 120 min/, /back by 120 min/]) {
      process.kill(lab.peer('c').pid ?? 0, 'SIGUSR2');
      expect(await untilProblem(lab, 'c', 'clock-jumped', words)).toMatch(/Refreshes keep their times/);
      const { epoch } = await lab.api('a').status();
      await lab.api('a').refresh();
      await lab.untilEpoch((epoch ?? 0) + 1);
      expect((await program.sign('a', 'meanwhile')).signers).toHaveLength(2);
    }
    expect((await program.sign('c', 'afterwards')).signers).toContain('c');
  });

  test('no file descriptor left: named; it goes on when there are some', async () => {
    const pid = String(lab.peer('c').pid);
    const [soft = '', hard = ''] = run('prlimit', '--pid', pid, '--nofile', '-o', 'SOFT,HARD', '--noheadings')
      .trim()
      .split(/\s+/);
    // Its connections are open already, this one among them: it asks for the status over what it has.
    const named = untilProblem(lab, 'c', 'no-descriptors', /takes no part/);
    await lab.api('c').status();
    run('prlimit', '--pid', pid, `--nofile=3:${hard}`);
    const refreshed = await refreshAsked(lab, program);
    await named;
    run('prlimit', '--pid', pid, `--nofile=${soft}:${hard}`);
    await refreshed();
    await recovered(lab);
  });
});
