import { check, quick, refreshAmong, type Scenario, untilSaid, untilShare } from '../scenario.ts';

const message = 'signed with one peer dead\n';

export const killAndRecover: Scenario = {
  name: 'kill-and-recover',
  about: 'a peer is killed, misses three epochs, comes back and is given its share again',
  group: { peers: 5, threshold: 3, settings: quick },
  machines: 0,
  steps: () => {
    let expected: Buffer;
    return [
      {
        claim: 'with one of five killed, signing and refreshing go on',
        run: async (lab) => {
          expected = await lab.sign('a', 'ca', message);
          await lab.kill('e');
          for (let round = 0; round < 3; round += 1) await refreshAmong(lab, 'a');
          check((await lab.sign('b', 'ca', message)).equals(expected), 'the signature is the same');
        },
      },
      {
        claim: 'it comes back, recovers its share of the newest epoch from the others, and signs',
        run: async (lab) => {
          await lab.start('e');
          await untilShare(
            lab,
            'e',
            await lab
              .api('a')
              .status()
              .then(({ epoch }) => epoch ?? 0),
          );
          await Promise.all(['a', 'b'].map(lab.stop));
          check((await lab.sign('e', 'ca', message)).equals(expected), 'the signature is the same');
          await Promise.all(['a', 'b'].map(lab.start));
        },
      },
      {
        claim:
          'with two killed a refresh waits and says so, signing goes on, and it completes when one is back',
        run: async (lab) => {
          const next = ((await lab.api('c').status()).epoch ?? 0) + 1;
          await Promise.all(['a', 'b'].map(lab.kill));
          await lab.api('c').refresh();
          await untilSaid(lab, 'c', 'refresh-waits');
          check((await lab.sign('c', 'ca', message)).equals(expected), 'the signature is the same');
          await lab.start('a');
          await lab.untilEpoch(next);
        },
      },
    ];
  },
};
