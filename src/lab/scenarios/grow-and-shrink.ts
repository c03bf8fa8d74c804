import { check, quick, refreshAmong, type Scenario, takeIn } from '../scenario.ts';

const message = 'signed by three others\n';

export const growAndShrink: Scenario = {
  name: 'grow-and-shrink',
  about: 'a 2-of-3 group grows to five and shrinks to three other members, under the same key',
  group: { peers: 3, threshold: 2, settings: quick },
  machines: 0,
  steps: () => {
    let expected: Buffer;
    let publicKey: Buffer;
    return [
      {
        claim: 'two peers joined, and sign the same bytes',
        run: async (lab) => {
          expected = await lab.sign('a', 'ca', message);
          publicKey = await lab.must('a', ['key', 'public', 'ca']);
          await takeIn(lab, ['d', 'e']);
          check((await lab.sign('e', 'ca', message)).equals(expected), 'the signature is the same');
        },
      },
      {
        claim: 'two of the first three members are evicted; same public key, same signature',
        run: async (lab) => {
          await lab.operateAt('d');
          for (const name of ['b', 'a']) {
            await lab.evict([name]);
            await lab.until(name, async (api) => ((await api.status()).state === 'evicted' ? true : null));
            await lab.stop(name);
          }
          await refreshAmong(lab, 'e');
          check((await lab.sign('d', 'ca', message)).equals(expected), 'the signature is the same');
          check(
            (await lab.must('e', ['key', 'public', 'ca'])).equals(publicKey),
            'the public key is the same',
          );
        },
      },
      {
        claim: 'a dead member of this 2-of-3 group is replaced: a forced eviction, then an admission',
        run: async (lab) => {
          await lab.kill('c');
          await lab.evict(['c'], ['--forced', '--yes', 'c']);
          await takeIn(lab, ['f']);
          check((await lab.sign('f', 'ca', message)).equals(expected), 'the signature is the same');
        },
      },
    ];
  },
};
