/** When to ask a daemon again: after every change that it tells of, and a second after the last time. */
import { setTimeout as pause } from 'node:timers/promises';
import type { ApiClient } from '../client/api-client.ts';

/** For what no event of a daemon announces, such as how many descriptors it has. */
const pollEveryMs = 1_000;

/**
 * Asks `check` once the daemon tells of its changes, and again each time, until its answer is not null; never twice
 * at once. Rejects when `signal` aborts or the daemon ends.
 */
export async function pollUntil<T>(
  api: ApiClient,
  check: () => Promise<T | null>,
  signal: AbortSignal,
): Promise<T> {
  const done = new AbortController();
  const changes = api.changes(AbortSignal.any([signal, done.signal]));
  const nextChange = (): Promise<unknown> => {
    const next = changes.next();
    // The caller hears of a failure later, or no longer wants to.
    next.catch(() => {});
    return next;
  };
  try {
    await nextChange();
    for (let change = nextChange(); ; ) {
      const found = await check();
      if (found !== null) return found;
      if (await changedWithin(change, pollEveryMs)) change = nextChange();
    }
  } finally {
    done.abort();
  }
}

async function changedWithin(change: Promise<unknown>, ms: number): Promise<boolean> {
  const timer = new AbortController();
  try {
    return await Promise.race([change.then(() => true), pause(ms, false, { signal: timer.signal })]);
  } finally {
    timer.abort();
  }
}
