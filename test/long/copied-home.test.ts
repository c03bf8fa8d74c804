/**
 * A home that was copied and is started beside the original: everybody concerned says so first, and which of
 * the two to end.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ApiClient } from '../../src/client/api-client.ts';
import { DaemonProcess } from '../../src/lab/daemon-process.ts';
import { Lab } from '../../src/lab/lab.ts';
import { pollUntil } from '../../src/lab/polling.ts';

let lab: Lab;
let copy: DaemonProcess;
beforeAll(async () => {
  lab = await Lab.create({ peers: 4, threshold: 2 });
  await lab.stop('d');
  const home = join(lab.dir, 'copy-of-d');
  execFileSync('cp', ['-a', lab.peer('d').home, home]);
  const settings = join(home, 'settings.yaml');
  writeFileSync(
    settings,
    readFileSync(settings, 'utf8').replaceAll(/\/ip4\/127\.[\d.]+\//g, '/ip4/127.0.0.254/'),
  );
  copy = new DaemonProcess('copy', home);
  await lab.start('d');
  await lab.must('a', ['refresh', '--wait']);
});
afterAll(async () => {
  await copy?.kill();
  await lab?.close();
});

const firstProblem = (api: ApiClient) =>
  pollUntil(
    api,
    async () => {
      const [problem] = (await api.status()).problems;
      return problem?.code.endsWith('two-machines') ? problem : null;
    },
    AbortSignal.timeout(60_000),
  );

test('the copy, the original and the others say it first, keep it in their audit logs, and forget it when one is ended', async () => {
  await copy.start();
  expect((await firstProblem(copy.api)).remedy).toMatch(
    /^This one lacks the member's newest key: stop this daemon/,
  );
  expect((await firstProblem(lab.api('d'))).remedy).toMatch(
    /holds the member's newest key: stop the other daemon/,
  );
  const { what } = await firstProblem(lab.api('a'));
  expect(what).toMatch(/^Two machines run with the identity of d: .*127\.0\.0\.\d+/);
  const shown = (await lab.must('a', ['status'])).toString();
  expect(shown).toContain(what);
  await copy.stop();
  await lab.until('a', async (api) =>
    (await api.status()).problems.some(({ code }) => code.endsWith('two-machines')) ? null : true,
  );
  const log = (await lab.must('a', ['audit'])).toString();
  expect(log).toContain('Two machines run with the identity of d');
  expect(log).toContain('every member runs on one machine again');
});
