/** What commands hold in memory, a whole RSA key at worst, gets to no core file, debugger or other user. */
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, expect, test, vi } from 'vitest';
import { warnOfSwap } from '../../src/cli/own-memory.ts';
import { spawnCommand } from '../../src/lab/command.ts';
import { swapProblems } from '../../src/node/daemon/home-inspection.ts';
import { Bench } from './holdfast.ts';

const bench = new Bench();
afterAll(() => bench.close());

test('the dealer of a key keeps its memory from core files and Node’s debugger, and its files from others', async () => {
  await bench.init();
  const names = ['b', 'c', 'd'];
  const group = await bench.serve(names);
  await bench.must(['admit', '--yes', ...names.map((name) => group.fingerprint(name))]);
  const dealer = spawnCommand(
    ['key', 'create', 'ca', '--use', 'sign', '--bits', '4096'],
    { HOLDFAST_HOME: bench.path('A'), CREDENTIALS_DIRECTORY: bench.credentials },
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  dealer.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const ended = once(dealer, 'close');
  try {
    await vi.waitFor(() => expect(said).toContain('searching two safe primes'), { timeout: 30_000 });
    const proc = (name: string): string => readFileSync(`/proc/${dealer.pid}/${name}`, 'utf8');
    expect(proc('coredump_filter').trim()).toMatch(/^0+$/);
    expect(proc('status')).toMatch(/^Umask:\s+0077$/m);
    dealer.kill('SIGUSR1');
    await new Promise((resolve) => setTimeout(resolve, 500)); // Node would open its debugger within milliseconds
    expect(said).not.toContain('Debugger');
    expect(said.includes('swaps to a disk')).toBe(swapProblems().length > 0);
  } finally {
    dealer.kill('SIGINT');
    await ended;
  }
});

test('who is about to hold a whole key is warned of swap that could keep it, and of nothing else', () => {
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    mkdirSync(bench.path('proc'));
    const machine = { proc: bench.path('proc'), sys: bench.path('sys') };
    const swaps = (line: string) => writeFileSync(bench.path('proc/swaps'), `Filename Type Size\n${line}`);
    swaps('/dev/zram0 partition 1\n');
    warnOfSwap(machine);
    expect(said).not.toHaveBeenCalled();
    swaps('/dev/sda2 partition 1\n');
    warnOfSwap(machine);
    expect(said.mock.calls.join()).toMatch(/^warning: This machine swaps to a disk.* swapoff -a/);
  } finally {
    said.mockRestore();
  }
});
