/** Three peers, 2 of 3, with DES, AES and Blowfish: what three can and cannot do, and what strangers get from them. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { Lab } from '../../src/lab/lab.ts';
import { SigningProgram } from '../../src/lab/signing-program.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';
import { dialAsStrangers } from '../support/strangers.ts';
import { refresh, startAndRecall, untilProblem } from './support.ts';

const message = 'signed by any two of three\n';
const patienceMs = 120_000;

describe('three peers with DES, AES and Blowfish, 2 of 3', { timeout: patienceMs }, () => {
  let lab: Lab;
  let program: SigningProgram;
  let before: Buffer;

  beforeAll(async () => {
    lab = await Lab.create({ peers: 3, threshold: 2, ciphers: ['des', 'aes', 'blowfish'] });
    await lab.createKey('ca', readyPrimes(2048));
    program = await SigningProgram.of(lab, 'ca');
    before = await lab.sign('a', 'ca', message);
  }, patienceMs);
  afterAll(() => lab?.close());

  test('refresh with all three up', async () => {
    const epoch = await refresh(lab, 'a');
    expect(epoch.dealt.length).toBeGreaterThanOrEqual(2);
    expect(epoch.missing).toEqual([]);
    const { choice } = await lab.api('a').status();
    expect(choice).toContain('2-of-3');
  });

  test.each(['a', 'b', 'c'])('sign the same bytes with %s stopped', async (away) => {
    await lab.stop(away);
    const [asked = '', other = ''] = lab.names.filter((name) => name !== away);
    const { signature, signers } = await program.sign(asked, message);
    expect(signers.toSorted()).toEqual([asked, other]);
    expect(Buffer.from(signature).equals(before)).toBe(true);
    await startAndRecall(lab, [away]);
  });

  test('with one stopped, status says that the refresh waits because it needs all three', async () => {
    const { epoch } = await lab.api('a').status();
    await lab.stop('c');
    await untilProblem(
      lab,
      'a',
      'refresh-will-wait',
      /all 3 members must attend, and 2 can; c cannot be reached/,
    );
    await lab.api('a').refresh();
    await untilProblem(lab, 'a', 'refresh-waits', /it needs all 3 members to attend; missing: c\.$/);
    const shown = (await lab.must('a', ['status'])).toString('utf8');
    expect(shown).toContain('it needs all 3 members to attend; missing: c.');
    const { signature } = await program.sign('b', message);
    expect(Buffer.from(signature).equals(before)).toBe(true);
    await lab.start('c');
    await lab.untilEpoch((epoch ?? 0) + 1);
  });

  test('a newcomer under a taken name hears that, and is not admitted', async () => {
    await lab.must('a', ['invite', '--for', '10m']);
    const second = await lab.join('second-b', 'b');
    await second.start();
    await untilProblem(
      lab,
      'second-b',
      'waiting-for-admission',
      /the name b is that of a member .* join under another name/,
    );
    await second.stop();
    expect((await lab.api('a').peers()).filter(({ state }) => state === 'waiting')).toEqual([]);
    expect((await lab.api('a').status()).members).toBe(3);
  });

  test('a thousand dials by strangers who know the addresses get no answer and leave nothing behind', async () => {
    const { pid } = lab.peer('a');
    const self = (await lab.api('a').peers()).find((peer) => peer.self);
    const target = self?.addresses ?? [];
    expect(target).toHaveLength(1);
    const members = await lab.api('a').peers();
    await dialAsStrangers(target, { strangers: 1, dialsEach: 50 });
    const filesBefore = openFiles(pid);
    const residentBefore = residentKiB(pid);
    const answered = await dialAsStrangers(target, { strangers: 19, dialsEach: 50 });
    expect(answered).toBe(0);
    await vi.waitFor(() => expect(openFiles(pid)).toBeLessThanOrEqual(filesBefore + 5), 20_000);
    expect(residentKiB(pid) - residentBefore).toBeLessThan(100 * 1024);
    const now = await lab.api('a').peers();
    expect(now.map(({ peer }) => peer)).toEqual(members.map(({ peer }) => peer));
    await lab.until('a', async (api) => ((await api.status()).connected.length === 2 ? true : null));
    expect(Buffer.from((await program.sign('a', message)).signature).equals(before)).toBe(true);
  });
});

const openFiles = (pid: number | null): number => readdirSync(`/proc/${pid}/fd`).length;
const residentKiB = (pid: number | null): number =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
