/** Real processes: who holds the key changes entirely, and neither the public key nor a signature ever does. */
import { expect, test } from 'vitest';
import { Lab } from '../../src/lab/lab.ts';
import { SigningProgram } from '../../src/lab/signing-program.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';
import { refresh } from '../system/support.ts';

const message = 'Signed by whoever is there.\n';

test('a group grows from 3 to 9 and shrinks to 4 with none of those that it began with: same key, same signature', async () => {
  const lab = await Lab.create({
    peers: 3,
    threshold: 2,
    settings: { dealingWindowMs: 500, roundTimeoutMs: 1500 },
  });
  try {
    await lab.createKey('ca', readyPrimes(2048));
    const program = await SigningProgram.of(lab, 'ca');
    const { signature: before } = await program.sign('a', message);
    const membersAt = async (name: string): Promise<string[]> =>
      (await lab.api(name).peers()).filter(({ state }) => state === 'member').map((peer) => peer.name);
    /** The members sign the same bytes for the same public key, and OpenSSL says that they are right. */
    const unchanged = async (name: string): Promise<void> => {
      const { signature } = await program.sign(name, message);
      expect(Buffer.from(signature).equals(before)).toBe(true);
      expect((await lab.must(name, ['key', 'public', 'ca'])).toString('utf8')).toBe(program.pem);
      expect(program.opensslVerdict(message, signature)).toBe('Verified OK');
    };
    const untilShare = (name: string) =>
      lab.until(name, async (api) => {
        const { epoch, shareEpochs } = await api.status();
        return epoch !== null && shareEpochs.includes(epoch) ? true : null;
      });

    for (const newcomers of [
      ['d', 'e', 'f'],
      ['g', 'h', 'i'],
    ]) {
      for (const name of newcomers) await lab.join(name);
      await Promise.all(newcomers.map(lab.start));
      await lab.admit(newcomers);
      await Promise.all(newcomers.map(untilShare));
      for (const name of newcomers) await unchanged(name);
    }
    expect(await membersAt('i')).toHaveLength(9);

    await lab.operateAt('i');
    for (const leaving of [['a', 'b'], ['c', 'd'], ['e']]) {
      await lab.evict(leaving);
      for (const name of leaving) {
        await lab.until(name, async (api) => ((await api.status()).state === 'evicted' ? true : null));
        await lab.stop(name);
      }
      await refresh(lab, 'h');
      await unchanged('i');
    }
    expect(await membersAt('f')).toEqual(['f', 'g', 'h', 'i']);
    // Any two of the four, each pair with somebody else.
    for (const [stays, away] of [
      ['f', ['h', 'i']],
      ['h', ['f', 'g']],
    ] as const) {
      for (const name of away) lab.pause(name);
      await unchanged(stays).finally(() => away.forEach(lab.resume));
    }
  } finally {
    await lab.close();
  }
});
