import { check, newestEpoch, quick, type Scenario } from '../scenario.ts';

const message = 'signed after the power was back\n';

export const powerCut: Scenario = {
  name: 'power-cut',
  about: 'all peers are killed at once in the middle of a change, and started again',
  group: { peers: 5, threshold: 3, settings: quick },
  machines: 0,
  steps: () => [
    {
      claim: 'the change that was cut short completes after the restart, under the same key',
      run: async (lab) => {
        const expected = await lab.sign('a', 'ca', message);
        let asked = await newestEpoch(lab, 'a');
        await lab.api('a').refresh();
        const changing = await lab.until('a', async (api) => {
          const { change, epoch } = await api.status();
          // It was over between two looks.
          if (change === null && epoch !== null && epoch > asked) {
            asked = epoch;
            await api.refresh();
          }
          return change?.epoch ?? null;
        });
        for (const peer of lab.peers.values()) peer.killNow();
        await Promise.all(lab.names.map(lab.kill));
        await Promise.all(lab.names.map(lab.start));
        await lab.untilEpoch(changing);
        check((await lab.sign('e', 'ca', message)).equals(expected), 'the signature is the same');
      },
    },
  ],
};
