import { readFileSync } from 'node:fs';
import type { Lab } from '../lab.ts';
import { check, quick, refreshAmong, type Scenario, untilConnected, untilShare } from '../scenario.ts';
import { falsifyShares } from '../tampering.ts';

const message = 'signed although one peer computes falsely\n';
const everybody = ['a', 'b', 'c', 'd', 'e'];
/** Signatures at each of the other peers, so that each of them asks the liar. */
const signaturesPerPeer = 5;

/** Whether a peer's log says that the member with this index gave a false partial. */
const names = (lab: Lab, peer: string, index: number): boolean =>
  readFileSync(lab.peer(peer).logFile, 'utf8')
    .split('\n')
    .some((line) => line.includes('a false partial') && line.includes(`"index":${index},`));

export const liar: Scenario = {
  name: 'liar',
  about: 'a peer computes with a false share: no false signature leaves, it is named, and a refresh mends it',
  group: { peers: 5, threshold: 3, settings: quick },
  machines: 0,
  steps: () => {
    let expected: Buffer;
    const signsTruly = async (lab: Lab, name: string): Promise<void> =>
      check((await lab.sign(name, 'ca', message)).equals(expected), 'the signature is the same');
    return [
      {
        claim: 'its partials are false, and whoever is asked gives the true signature and names it',
        run: async (lab, tell) => {
          expected = await lab.sign('a', 'ca', message);
          const index = (await lab.api('e').status()).index ?? 0;
          await lab.stop('e');
          await falsifyShares(lab.peer('e').home);
          await lab.start('e');
          await untilConnected(lab, everybody);
          const others = everybody.slice(0, 4);
          for (let turn = 0; turn < signaturesPerPeer; turn += 1)
            for (const name of others) await signsTruly(lab, name);
          const named = others.filter((name) => names(lab, name, index));
          tell(`named by ${named.join(', ') || 'nobody'}`);
          check(named.length > 0, 'somebody who met a false partial names e');
        },
      },
      {
        claim: 'asked itself, it does not release a false signature either',
        run: (lab) => signsTruly(lab, 'e'),
      },
      {
        claim: 'with one more peer killed three true ones are left, and they sign',
        run: async (lab) => {
          await lab.kill('d');
          for (const name of ['a', 'b', 'c']) await signsTruly(lab, name);
          await lab.start('d');
          await untilConnected(lab, everybody);
        },
      },
      {
        claim: 'the next refresh finds its share false, and it is given a true one: the three with it sign',
        run: async (lab) => {
          await untilShare(lab, 'e', await refreshAmong(lab, 'a', ['a', 'b', 'c', 'd']));
          await Promise.all(['a', 'b'].map(lab.kill));
          await signsTruly(lab, 'e');
        },
      },
    ];
  },
};
