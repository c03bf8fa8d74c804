/** When a daemon is asked again: after every change that it tells of, and a second after the last time. */
import { setTimeout as pause } from 'node:timers/promises';
import type { ApiClient } from '../client/api-client.ts';

/** No event tells of some facts, such as how many descriptors a daemon has. So they are polled. */
const pollEveryMs = 1_000;

/**
 * Calls `check` when the daemon begins to tell of its changes, and again after each change, until the answer
 * is not null. Two calls never overlap. Rejects when `signal` aborts or the daemon ends.
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
    // The caller gets a failure later, or does not need it any more.
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
