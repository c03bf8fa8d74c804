/** What the multi-process tests share: refreshing and starting again, and a look into the homes. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Lab } from '../../src/lab/lab.ts';
import { stolenShares as sharesInHome } from '../../src/lab/stolen-shares.ts';
import type { EpochView } from '../../src/node/views/view.ts';

/** Asks for a refresh at `name` and waits until every running peer has erased the older shares. */
export async function refresh(lab: Lab, name: string): Promise<EpochView> {
  const { epoch } = await lab.api(name).status();
  const next = (epoch ?? 0) + 1;
  await lab.api(name).refresh();
  await lab.untilEpoch(next);
  return lab.api(name).epoch(next);
}

/** Starts peers again, and waits until the others have told them what they had signed (§4): they take part fully. */
export async function startAndRecall(lab: Lab, names: readonly string[]): Promise<void> {
  await Promise.all(names.map(lab.start));
  await Promise.all(
    names.map((name) =>
      lab.until(name, async (api) => {
        const { problems } = await api.status();
        return problems.some(({ code }) => code === 'recalling') ? null : true;
      }),
    ),
  );
}

/** Waits until a peer's status names the problem in words like these; what it says. */
export const untilProblem = (lab: Lab, name: string, code: string, words: RegExp): Promise<string> =>
  lab.until(name, async (api) => {
    const { problems } = await api.status();
    return problems.find((problem) => problem.code === code && words.test(problem.what))?.what ?? null;
  });

/** Every member's verification key, as hashes. */
export const hashesOf = (epoch: EpochView): string[] => epoch.verificationKeys.map(({ hash }) => hash);

/** Hashes of every sealed file in a peer's home. An empty journal holds no record. */
export function sealedFiles(home: string): Set<string> {
  const vault = join(home, 'store', 'vault');
  const contents = readdirSync(vault).map((name) => readFileSync(join(vault, name)));
  return new Set(
    contents
      .filter((content) => content.length > 0)
      .map((content) => createHash('sha256').update(content).digest('hex')),
  );
}

/** What a thief of a peer's folder finds: all shares of one key in a copy of its store, by epoch. */
export const stolenShares = (lab: Lab, name: string, keyId: Uint8Array): Promise<Map<number, bigint>> =>
  sharesInHome(lab.peer(name).home, keyId);
