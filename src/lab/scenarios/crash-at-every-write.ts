import { fileURLToPath } from 'node:url';
import { ApiError } from '../../client/api-client.ts';
import type { Lab } from '../lab.ts';
import {
  check,
  checkNobodyBlamed,
  newestEpoch,
  quick,
  type Scenario,
  untilConnected,
  untilShare,
} from '../scenario.ts';

const message = 'signed after a hundred crashes\n';
const victim = 'e';
const everybody = ['a', 'b', 'c', 'd', victim];
/** More writes than a start and a whole epoch change take. */
const writesMax = 500;

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const preload = fileURLToPath(new URL(`../crash-at-write.${extension}`, import.meta.url));

/**
 * Starts the victim so that it dies at this write, or lives through the epoch change that follows. Gives true
 * when it died.
 */
async function dies(lab: Lab, write: number): Promise<boolean> {
  const peer = lab.peer(victim);
  const env = { NODE_OPTIONS: `--import=${preload}`, HOLDFAST_CRASH_AT_WRITE: String(write) };
  await peer.start(env).catch(() => {});
  if (!peer.running) return true;
  const death = peer.ended();
  const born = (await peer.api.status().catch(() => null))?.epoch ?? Number.POSITIVE_INFINITY;
  const wholeChange = lab
    .until(victim, async (api) => {
      const [newest] = await api.epochs(1);
      if (newest?.retired !== true || newest.epoch <= born) return null;
      if (!newest.missing.includes(victim)) return true;
      // The change was decided without the victim, which came too late. So another change is asked for.
      if ((await api.status()).change === null) await lab.api('a').refresh();
      return null;
    })
    .catch((error: Error) => {
      // The victim's answers stop a moment before the process ends.
      if (error instanceof ApiError) return death;
      throw error;
    });
  await lab.api('a').refresh();
  await Promise.race([death, wholeChange]);
  return !peer.running;
}

export const crashAtEveryWrite: Scenario = {
  name: 'crash-at-every-write',
  about:
    'one peer crashes at its first write, after a restart at its second, …, until it lives through a whole change',
  group: { peers: 5, threshold: 3, settings: quick },
  machines: 0,
  steps: () => {
    let expected: Buffer;
    return [
      {
        claim: 'after a crash in the middle of every write of a start and an epoch change it goes on',
        run: async (lab, tell) => {
          expected = await lab.sign('a', 'ca', message);
          await lab.kill(victim);
          const before = await newestEpoch(lab, 'a');
          let write = 1;
          while (await dies(lab, write)) {
            write += 1;
            check(write <= writesMax, `it lives longer than ${writesMax} writes`);
          }
          tell(
            `${write - 1} crashes, while the group changed ${(await newestEpoch(lab, 'a')) - before} epochs`,
          );
          check(write > 20, 'a change takes more than twenty writes');
        },
      },
      {
        claim: 'then it is whole: it has its share, nobody blames it, and the signature with it is the same',
        run: async (lab) => {
          await lab.stop(victim);
          await lab.start(victim);
          await untilShare(lab, victim, await newestEpoch(lab, 'a'));
          await untilConnected(lab, everybody);
          await checkNobodyBlamed(lab, everybody);
          await Promise.all(['a', 'b'].map(lab.kill));
          check((await lab.sign(victim, 'ca', message)).equals(expected), 'the signature is the same');
        },
      },
    ];
  },
};
