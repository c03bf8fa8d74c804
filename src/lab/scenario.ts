/**
 * A story about a group. It consists of steps. Each step makes a claim, and its code checks the claim on real
 * daemons.
 */
import { Lab, type LabOptions, type SafePrimes } from './lab.ts';
import { Lan } from './lan.ts';

/** One step of a story. */
export interface Step {
  /** What the step does, as a heading for people. */
  title?: string;
  /** What is true when the step has run. */
  claim: string;
  /**
   * Rejects when the claim does not hold.
   * @param tell takes a line about what was seen on the way
   */
  run(lab: Lab, tell: (line: string) => void): Promise<void>;
}

/** The random part of a story. */
export interface Chance {
  /** How often the random thing happens. */
  times: number;
  /** All random numbers of the story follow from it. */
  seed: number;
}

/** A story that `holdfast lab run` can tell. */
export interface Scenario {
  name: string;
  about: string;
  /** The group at the beginning. It has a signing key named `ca`. */
  group: Omit<LabOptions, 'dir' | 'outlives' | 'lan'>;
  /** How many machines on a network of namespaces, with cables to cut. 0: all peers use loopback. */
  machines: number;
  /** For a story with a random part: how often the random thing happens by default. */
  times?: number;
  /** The steps in order. Each may rely on the steps before it. */
  steps(chance?: Chance): Step[];
}

/**
 * Makes the group of a scenario, with its key. `source` is as for `Lab.createKey`, and `dir` as for
 * `Lab.create`.
 */
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

/** Throws with the claim when it does not hold. */
export function check(holds: boolean, claim: string): void {
  if (!holds) throw new Error(`it is NOT true that ${claim}`);
}

/** Settings for stories in which epochs change when the story says so: short windows. */
export const quick = { dealingWindowMs: 300, roundTimeoutMs: 500 } as const;

/** The most epochs that the API shows in one answer. */
const epochsShownMax = 1000;

/** Checks that none of `names` has seen a member do wrong. The group must be honest. */
export async function checkNobodyBlamed(lab: Lab, names: readonly string[]): Promise<void> {
  for (const name of names)
    for (const { epoch, blamed, contradicted } of await lab.api(name).epochs(epochsShownMax)) {
      const seen = [...blamed.map(({ member, kind }) => `${member} for ${kind}`), ...contradicted];
      check(seen.length === 0, `nobody is blamed (${name} blames, in epoch ${epoch}: ${seen.join(', ')})`);
    }
}

/** The newest epoch that a peer knows; -1 when it knows none. */
export const newestEpoch = async (lab: Lab, name: string): Promise<number> =>
  (await lab.api(name).status()).epoch ?? -1;

/**
 * Asks for a refresh at `name`, and waits until all of `names` have retired what is older. Gives the new
 * epoch.
 */
export async function refreshAmong(lab: Lab, name: string, names?: string[]): Promise<number> {
  const epoch = (await newestEpoch(lab, name)) + 1;
  await lab.api(name).refresh();
  await lab.untilEpoch(epoch, names);
  return epoch;
}

/**
 * Waits until a peer holds its share of the newest epoch that it knows, which is at least `epoch`. Gives that
 * epoch.
 */
export const untilShare = (lab: Lab, name: string, epoch = 0): Promise<number> =>
  lab.until(name, async (api) => {
    const status = await api.status();
    return status.epoch !== null && status.epoch >= epoch && status.shareEpochs.includes(status.epoch)
      ? status.epoch
      : null;
  });

/** Waits until a peer's status has a problem with this code. Gives its text. */
export const untilSaid = (lab: Lab, name: string, code: string): Promise<string> =>
  lab.until(
    name,
    async (api) => (await api.status()).problems.find((problem) => problem.code === code)?.what ?? null,
  );

/** Waits until each of these peers is connected to all others of them, and to nobody else. */
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

/** Takes in newcomers: they join, start, are admitted together, and get their shares. */
export async function takeIn(lab: Lab, names: readonly string[]): Promise<void> {
  for (const name of names) await lab.join(name);
  await Promise.all(names.map(lab.start));
  await lab.admit(names);
  await Promise.all(names.map((name) => untilShare(lab, name)));
}
