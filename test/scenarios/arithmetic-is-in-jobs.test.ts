/**
 * The core does no arithmetic in the group of a key. Jobs do, so a large group with many keys cannot hold up
 * the event loop. A watched kind records each call that comes while a step runs.
 */
import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { JointCreation } from '../../src/keys/kind/joint-creation.ts';
import type { Kind } from '../../src/keys/kind/kind.ts';
import { learnKind } from '../../src/keys/kinds.ts';
import { headOf, holdsShare } from '../../src/protocol/machine/queries.ts';
import { toy, toyKey } from '../../src/simulation/world/toy-kind.ts';
import { fivePeers } from './support.ts';

const steps = vi.hoisted(() => ({ running: false }));
vi.mock('../../src/protocol/step.ts', async (original) => {
  const { step, ...others } = await original<typeof import('../../src/protocol/step.ts')>();
  return {
    ...others,
    step: (...given: Parameters<typeof step>) => {
      steps.running = true;
      try {
        return step(...given);
      } finally {
        steps.running = false;
      }
    },
  };
});

/** What costs nothing: lengths, and bytes as they are. */
const free = new Set(['areWellFormed', 'identityOf']);
const [inSteps, inJobs] = [new Set<string>(), new Set<string>()];

/** The same object, whose calls are noted. */
function watched<T extends object>(
  object: T,
  wrap: (name: string, made: unknown) => unknown = (_, made) => made,
): T {
  return new Proxy(object, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function' || typeof name !== 'string') return wrap(String(name), member);
      return (...given: unknown[]) => {
        if (!free.has(name)) (steps.running ? inSteps : inJobs).add(name);
        return wrap(name, Reflect.apply(member, target, given));
      };
    },
  });
}

const watchedToy: Kind = watched(toy, (name, made) => {
  if (name === 'joint') return watched(made as JointCreation);
  return name === 'shared' ? watched(made as object) : made;
});

beforeEach(() => {
  learnKind(watchedToy);
  inSteps.clear();
  inJobs.clear();
});

describe('a step does no arithmetic', () => {
  test('when members create a key together, refresh it, and bring one back that was away', async () => {
    const group = await fivePeers();
    await group.stop(5);
    const next = group.epochOf(1) + 1;
    await group.order(1, { type: 'create-key-jointly', name: 'joint', kind: 'toy', use: 'sign' });
    await group.until(() => group.settledAt(next));
    await group.refresh(2);
    await group.restart(5);
    await group.until(() => group.settledAt(next + 1) && holdsShare(group.state(5)), 60_000, 'the recovery');
    await group.refresh(3);
    expect([...inSteps]).toEqual([]);
    for (const name of ['checkPart', 'combine', 'combineCommitments', 'checkTrialProof'])
      expect(inJobs).toContain(name);
  });

  test('but for one look at the public values of a key that a dealer brings', async () => {
    const group = await fivePeers();
    const { threshold } = headOf(group.state(1));
    await group.giveKey('toy', 1, group.newKeyOf('toy', toyKey({ threshold, randomBytes: group.random })));
    await group.refresh(2);
    expect([...inSteps]).toEqual(['checkPublic']);
  });
});
