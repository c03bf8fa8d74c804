/** A story about a group: steps with a claim each, which a step's code checks on real daemons. */
import { Lab, type LabOptions, type SafePrimes } from './lab.ts';
import { Lan } from './lan.ts';

export interface Step {
  /** What is done in it, for those who watch. */
  title?: string;
  /** What is true when the step has run. */
  claim: string;
  /** @param tell takes a line about what was seen on the way */
  run(lab: Lab, tell: (line: string) => void): Promise<void>;
}

/** What of a story is left to chance. */
export interface Chance {
  /** How often it happens. */
  times: number;
  /** Everything random follows from it. */
  seed: number;
}

export interface Scenario {
  name: string;
  about: string;
  /** The group that the story begins with; it has a signing key named `ca`. */
  group: Omit<LabOptions, 'dir' | 'outlives' | 'lan'>;
  /** Machines on a network of namespaces, with cables to cut; 0: all on loopback. */
  machines: number;
  /** Of a story that leaves something to chance: how often, unless told otherwise. */
  times?: number;
  /** In order; each may rely on the ones before. */
  steps(chance?: Chance): Step[];
}

/** The group of a scenario, with its key; `source` as for `Lab.createKey`, `dir` as for `Lab.create`. */
export async function stage(
  { group, machines }: Scenario,
  source: SafePrimes | number,
  dir?: string,
): Promise<Lab> {
  const options: LabOptions = dir === undefined ? group : { ...group, dir };
  const lab = await Lab.create(machines === 0 ? options : { ...options, lan: await Lan.create(machines) });
  try {
    await lab.createKey('ca', source);
    return lab;
  } catch (error) {
    await lab.close();
    throw error;
  }
}

export function check(holds: boolean, claim: string): void {
  if (!holds) throw new Error(`it is NOT true that ${claim}`);
}

/** Settings for stories in which epochs change when they are told to: short windows. */
export const quick = { dealingWindowMs: 300, roundTimeoutMs: 500 } as const;

/** What the API shows at once. */
const epochsShownMax = 1000;

/** Of an honest group: no member was seen doing wrong, by any of `names`. */
export async function checkNobodyBlamed(lab: Lab, names: readonly string[]): Promise<void> {
  for (const name of names)
    for (const { epoch, blamed, contradicted } of await lab.api(name).epochs(epochsShownMax)) {
      const seen = [...blamed.map(({ member, kind }) => `${member} for ${kind}`), ...contradicted];
      check(seen.length === 0, `nobody is blamed (${name} blames, in epoch ${epoch}: ${seen.join(', ')})`);
    }
}

export const newestEpoch = async (lab: Lab, name: string): Promise<number> =>
  (await lab.api(name).status()).epoch ?? -1;

/** A refresh asked for at `name`, until all of `names` have retired what is older; the new epoch. */
export async function refreshAmong(lab: Lab, name: string, names?: string[]): Promise<number> {
  const epoch = (await newestEpoch(lab, name)) + 1;
  await lab.api(name).refresh();
  await lab.untilEpoch(epoch, names);
  return epoch;
}

/** Waits until a peer holds its share of the newest epoch that it knows, `epoch` at least; that epoch. */
export const untilShare = (lab: Lab, name: string, epoch = 0): Promise<number> =>
  lab.until(name, async (api) => {
    const status = await api.status();
    return status.epoch !== null && status.epoch >= epoch && status.shareEpochs.includes(status.epoch)
      ? status.epoch
      : null;
  });

/** Waits until a peer's status names a problem by this code; what it says. */
export const untilSaid = (lab: Lab, name: string, code: string): Promise<string> =>
  lab.until(
    name,
    async (api) => (await api.status()).problems.find((problem) => problem.code === code)?.what ?? null,
  );

/** Waits until each of the peers has all the others of them, and nobody else, connected. */
export async function untilConnected(lab: Lab, names: readonly string[]): Promise<void> {
  await Promise.all(
    names.map((name) =>
      lab.until(name, async (api) => {
        const connected = new Set((await api.status()).connected);
        return connected.size === names.length - 1 &&
          names.every((other) => other === name || connected.has(other))
          ? true
          : null;
      }),
    ),
  );
}

/** Newcomers join, start, are admitted together, and have their shares. */
export async function takeIn(lab: Lab, names: readonly string[]): Promise<void> {
  for (const name of names) await lab.join(name);
  await Promise.all(names.map(lab.start));
  await lab.admit(names);
  await Promise.all(names.map((name) => untilShare(lab, name)));
}
