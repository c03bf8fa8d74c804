/** Five real daemons, 3 of 5: one is hostile and one is down, so that each of the three honest ones is needed. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HostilePeer } from '../../src/lab/hostile-peer.ts';
import { Lab } from '../../src/lab/lab.ts';
import { SigningProgram } from '../../src/lab/signing-program.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';
import { falseAnswers } from '../support/false-answers.ts';
import { startAndRecall, untilProblem } from '../system/support.ts';

const patienceMs = 120_000;
/** A liar may cost a second round of questions, or the wait for one that never answers. */
const boundMs = 10_000;
const message = 'signed by all who are left';

describe('three honest members of five, one hostile, one down', { timeout: patienceMs }, () => {
  let lab: Lab;
  let program: SigningProgram;
  let hostile: HostilePeer;

  beforeAll(async () => {
    lab = await Lab.create({ peers: 5, threshold: 3, settings: { dealingWindowMs: 200, logLevel: 'warn' } });
    await lab.createKey('ca', readyPrimes(2048));
    program = await SigningProgram.of(lab, 'ca');
    hostile = await HostilePeer.replace(lab, 'e');
  }, patienceMs);
  afterAll(async () => {
    await hostile?.stop();
    await lab?.close();
  });

  // One kind at each daemon that a client asks: what one has learned of it, another does not know.
  test.each(
    falseAnswers.map((lie, number) => ({ ...lie, at: 'abcd'.charAt(number), down: 'dddc'.charAt(number) })),
  )(
    'the hostile one answers $how at $at, $down is down: the three sign in bounded time, and $at names it',
    async ({ at, down, code, respond }) => {
      const stopped = ['a', 'b', 'c', 'd'].filter((name) => !lab.peer(name).running);
      await startAndRecall(
        lab,
        stopped.filter((name) => name !== down),
      );
      if (!stopped.includes(down)) await lab.stop(down);
      await hostile.untilConnected(3);
      const up = ['a', 'b', 'c', 'd'].filter((name) => name !== down);
      await lab.until(at, async (api) => {
        const there = (await api.peers())
          .filter(({ authenticated }) => authenticated)
          .map(({ name }) => name);
        return [...up, 'e'].every((name) => name === at || there.includes(name)) ? true : null;
      });
      const askedBefore = hostile.asked.length;
      hostile.respond = () => respond(hostile);
      let slowestMs = 0;
      for (let count = 0; count < 8 || hostile.asked.length === askedBefore; count += 1) {
        const startedAtMs = performance.now();
        const { signature, signers } = await program.sign(at, message);
        slowestMs = Math.max(slowestMs, performance.now() - startedAtMs);
        expect(program.accepts(message, signature)).toBe(true);
        expect(signers.toSorted()).toEqual(up);
      }
      expect(slowestMs).toBeLessThan(boundMs);
      if (code !== null) await untilProblem(lab, at, code, /^e /);
    },
  );
});
