/**
 * §8: expiry needs clocks that agree; one that is wrong by minutes is named, and so is every refusal that it
 * causes.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runCommand } from '../../src/lab/command.ts';
import { Lab } from '../../src/lab/lab.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';
import { untilProblem } from './support.ts';

const tenMinutesAhead = {
  NODE_OPTIONS: `--import ${new URL('../support/clock-ahead.ts', import.meta.url).href}`,
  CLOCK_AHEAD_MS: String(10 * 60_000),
};
const patienceMs = 180_000;
let lab: Lab;

beforeAll(async () => {
  lab = await Lab.create({ peers: 3, threshold: 2, settings: { dealingWindowMs: 300, roundTimeoutMs: 500 } });
  await lab.createKey('ca', readyPrimes(2048));
  await lab.stop('c');
  await lab.peer('c').start(tenMinutesAhead);
}, patienceMs);
afterAll(() => lab?.close());

test(
  'status and doctor name the machine whose clock is wrong, there and elsewhere',
  async () => {
    await untilProblem(lab, 'c', 'own-clock', /^This peer's clock is 10 min ahead of all others\.$/);
    await untilProblem(lab, 'a', 'peer-clock', /^The clocks of this peer and c differ by 10 min\.$/);
    const status = (await lab.must('c', ['status'])).toString('utf8');
    expect(status).toContain("! This peer's clock is 10 min ahead of all others. Set the clock (NTP).");
    const { code, stdout } = await lab.run('c', ['doctor']);
    expect(code).toBe(1);
    expect(stdout.toString('utf8')).toContain("This peer's clock is 10 min ahead of all others.");
  },
  patienceMs,
);

test(
  'a request is refused where a clock is wrong, and the refusal says so; elsewhere signing goes on',
  async () => {
    const sign = ['sign', '--key', 'ca', '--client', lab.clientFile('ca')];
    const { code, stderr } = await lab.run('c', sign, 'text');
    expect([code, stderr]).toEqual([
      3,
      expect.stringMatching(
        /^holdfast: the request has expired, or this clock or the client’s is wrong by minutes.*\n$/,
      ),
    ]);
    // At a machine that is right, but asked from one that is wrong.
    const env = { HOLDFAST_HOME: lab.peer('a').home, ...tenMinutesAhead };
    const asked = await runCommand(sign, { env, input: 'text' });
    expect([asked.code, asked.stderr]).toEqual([
      3,
      expect.stringMatching(
        /^holdfast: the request expires more than five minutes ahead: this clock or the client’s is wrong.*\n$/,
      ),
    ]);
    expect((await lab.sign('a', 'ca', 'text')).length).toBe(256);
  },
  patienceMs,
);

test(
  'epoch changes need no clock: the peer whose clock is wrong takes part in a refresh',
  async () => {
    const { epoch } = await lab.api('c').status();
    await lab.api('c').refresh();
    await lab.untilEpoch((epoch ?? 0) + 1);
    const [newest] = await lab.api('a').epochs(1);
    expect(newest?.missing).toEqual([]);
  },
  patienceMs,
);
