import { check, quick, refreshAmong, type Scenario } from '../scenario.ts';

const message = 'signed without the evicted peer\n';

export const evict: Scenario = {
  name: 'evict',
  about: 'a member is evicted: it erases its shares, hears nothing more, and the others go on',
  group: { peers: 5, threshold: 3, settings: quick },
  machines: 0,
  steps: () => {
    const others = ['a', 'b', 'c', 'd'];
    return [
      {
        claim: 'the evicted peer learns it, holds no share any more, and nobody talks to it',
        run: async (lab) => {
          await lab.evict(['e']);
          const status = await lab.until('e', async (api) => {
            const found = await api.status();
            return found.state === 'evicted' && found.connected.length === 0 ? found : null;
          });
          check(status.shareEpochs.length === 0, 'its shares are erased');
        },
      },
      {
        claim:
          'the others refresh and sign with the same key; the evicted peer does not hear of the new epoch',
        run: async (lab) => {
          const known = (await lab.api('e').status()).epoch;
          await refreshAmong(lab, 'b', others);
          await lab.sign('c', 'ca', message);
          check((await lab.api('e').status()).epoch === known, 'the evicted peer is told nothing');
        },
      },
    ];
  },
};
