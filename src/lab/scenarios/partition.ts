import type { Lab } from '../lab.ts';
import type { Lan } from '../lan.ts';
import {
  check,
  newestEpoch,
  quick,
  refreshAmong,
  type Scenario,
  untilConnected,
  untilSaid,
  untilShare,
} from '../scenario.ts';
import { forgetAddresses } from '../tampering.ts';

const message = 'signed whatever the network does\n';
const everybody = ['a', 'b', 'c', 'd', 'e'];
const [left, right] = [everybody.slice(0, 3), everybody.slice(3)];

function cables({ options }: Lab): Lan {
  if (options.lan === undefined) throw new Error('this story needs a network of namespaces');
  return options.lan;
}

/** The history of a peer: the values of all its epochs, oldest first. */
const historyOf = async (lab: Lab, name: string): Promise<string[]> =>
  (await lab.api(name).epochs(100)).map(({ epoch, value }) => `${epoch} ${value}`).toReversed();

export const partition: Scenario = {
  name: 'partition',
  about: 'five machines on a network of namespaces: mDNS alone, a pulled cable, a dead port, a split 3|2',
  group: { peers: 5, threshold: 3, settings: { ...quick, mdns: true } },
  machines: 5,
  steps: () => {
    let expected: Buffer;
    return [
      {
        claim: 'five peers that remember no address find each other by multicast DNS alone',
        run: async (lab) => {
          await Promise.all(everybody.map(lab.stop));
          for (const name of everybody) await forgetAddresses(lab.peer(name).home);
          await Promise.all(everybody.map(lab.start));
          await untilConnected(lab, everybody);
          expected = await lab.sign('e', 'ca', message);
        },
      },
      {
        claim:
          'one cut off for three epochs has its share again before the second refresh after its cable is back',
        run: async (lab) => {
          const others = everybody.slice(0, 4);
          await cables(lab).cut(4);
          await untilConnected(lab, others);
          for (let round = 0; round < 3; round += 1) await refreshAmong(lab, 'a', others);
          await cables(lab).heal(4);
          const first = await refreshAmong(lab, 'a', others);
          await untilShare(lab, 'e', first);
          check((await newestEpoch(lab, 'a')) === first, 'there was one refresh since the cable is back');
          const second = await refreshAmong(lab, 'e');
          const { missing } = await lab.api('e').epoch(second);
          check(missing.length === 0, 'it takes part in the second');
          check((await lab.sign('e', 'ca', message)).equals(expected), 'the signature is the same');
        },
      },
      {
        claim: 'a dead switch port, which nobody is told of, stops neither a refresh nor a signature',
        run: async (lab) => {
          await cables(lab).blackHole(1);
          const epoch = await refreshAmong(lab, 'c', ['a', 'c', 'd', 'e']);
          check((await lab.sign('d', 'ca', message)).equals(expected), 'the signature is the same');
          await cables(lab).heal(1);
          await untilShare(lab, 'b', epoch);
          await untilConnected(lab, everybody);
        },
      },
      {
        claim:
          'split 3|2 neither side has a quorum: both say so, no epoch begins, and the three go on signing',
        run: async (lab) => {
          const epoch = await newestEpoch(lab, 'a');
          await cables(lab).split([3, 4]);
          await Promise.all([untilConnected(lab, left), untilConnected(lab, right)]);
          await Promise.all(['a', 'd'].map((name) => lab.api(name).refresh()));
          await Promise.all(everybody.map((name) => untilSaid(lab, name, 'refresh-waits')));
          await Promise.all(right.map((name) => untilSaid(lab, name, 'cannot-sign')));
          check((await lab.sign('b', 'ca', message)).equals(expected), 'the signature is the same');
          for (const name of everybody)
            check((await newestEpoch(lab, name)) === epoch, `${name} stays in epoch ${epoch}`);
        },
      },
      {
        claim: 'after the heal both sides meet in one history, and the change that waited completes',
        run: async (lab) => {
          const next = (await newestEpoch(lab, 'a')) + 1;
          await cables(lab).join();
          await lab.untilEpoch(next);
          await untilConnected(lab, everybody);
          const [first = [], ...others] = await Promise.all(everybody.map((name) => historyOf(lab, name)));
          for (const history of others)
            check(
              history.every((line, epoch) => line === (first[epoch] ?? line)),
              'there is one history',
            );
          check((await lab.sign('d', 'ca', message)).equals(expected), 'the signature is the same');
        },
      },
    ];
  },
};
