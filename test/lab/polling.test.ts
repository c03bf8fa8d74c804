/** How the lab waits: for changes that a daemon tells of, and without any. */
import { expect, test } from 'vitest';
import type { ApiClient } from '../../src/client/api-client.ts';
import { pollUntil } from '../../src/lab/polling.ts';

/** A daemon that tells that it listens and of so many changes; then it ends, or is silent until nobody listens. */
function daemon(changes: number, end: 'ends' | 'is silent'): ApiClient {
  const told = async function* (signal?: AbortSignal): AsyncGenerator<void, never> {
    for (let change = 0; change <= changes; change += 1) yield;
    if (end === 'is silent')
      await new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
    throw new Error('the daemon has stopped');
  };
  return { changes: told } as Partial<ApiClient> as ApiClient;
}
const never = (): AbortSignal => new AbortController().signal;

/** An answer at the look of this number. */
function at(look: number): () => Promise<number | null> {
  let looks = 0;
  return async () => {
    looks += 1;
    return looks >= look ? looks : null;
  };
}

test('looks after every change', async () => {
  expect(await pollUntil(daemon(2, 'ends'), at(3), never())).toBe(3);
});

test('looks again when a daemon tells of nothing', async () => {
  expect(await pollUntil(daemon(0, 'is silent'), at(2), never())).toBe(2);
});

test('gives up when the daemon ends, or when its time is over', async () => {
  await expect(pollUntil(daemon(1, 'ends'), at(9), never())).rejects.toThrow('the daemon has stopped');
  const over = new AbortController();
  const looking = pollUntil(
    daemon(0, 'is silent'),
    async () => {
      over.abort(new Error('enough'));
      return null;
    },
    over.signal,
  );
  await expect(looking).rejects.toThrow('enough');
});
