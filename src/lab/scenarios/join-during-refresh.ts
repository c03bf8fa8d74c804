import { check, newestEpoch, quick, type Scenario, takeIn } from '../scenario.ts';

const message = 'signed while somebody joins\n';

export const joinDuringRefresh: Scenario = {
  name: 'join-during-refresh',
  about: 'a sixth and a seventh peer join a group that refreshes every two seconds and signs meanwhile',
  group: { peers: 5, threshold: 3, settings: { ...quick, refreshPeriodMs: 2000 } },
  machines: 0,
  steps: () => [
    {
      claim: 'two peers joined while shares were replaced and signatures asked for, and none failed',
      run: async (lab) => {
        const before = await newestEpoch(lab, 'a');
        const expected = await lab.sign('a', 'ca', message);
        let joining = true;
        const join = takeIn(lab, ['f', 'g']).finally(() => {
          joining = false;
        });
        const keepSigning = async (): Promise<void> => {
          while (joining)
            check((await lab.sign('b', 'ca', message)).equals(expected), 'the signature is the same');
        };
        await Promise.all([join, keepSigning()]);
        check((await newestEpoch(lab, 'a')) > before, 'epochs went on');
      },
    },
    {
      claim: 'the newcomers sign: with four of the old members stopped, too few would be left without them',
      run: async (lab) => {
        const expected = await lab.sign('a', 'ca', message);
        await Promise.all(['a', 'b', 'c', 'd'].map(lab.kill));
        check((await lab.sign('f', 'ca', message)).equals(expected), 'the signature is the same');
      },
    },
  ],
};
