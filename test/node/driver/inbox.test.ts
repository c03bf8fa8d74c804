import { expect, test } from 'vitest';
import { Inbox, inboxLimits } from '../../../src/node/driver/inbox.ts';
import { FairQueue } from '../../../src/node/use/fair-queue.ts';

test('each sender’s order is kept, with what is said of it; and what we put in ourselves is always taken', () => {
  const inbox = new Inbox<string>();
  inbox.push('a is connected', 'a');
  inbox.pushFrom('a', 10, 'a1');
  inbox.push('a is proven', 'a');
  inbox.pushFrom('a', 10, 'a2');
  inbox.push('a is gone', 'a');
  inbox.pushFrom('b', 10, 'b1');
  inbox.push('tick');
  expect(inbox.take(4)).toEqual(['a is connected', 'b1', 'tick', 'a1']);
  expect(inbox.take(100)).toEqual(['a is proven', 'a2', 'a is gone']);
  expect(inbox.length).toBe(0);
});

test('a frame waits behind one of each other sender, however many a liar has waiting', () => {
  const inbox = new Inbox<string>();
  for (let count = 0; count < inboxLimits.framesMax; count += 1) inbox.pushFrom('liar', 10, 'liar');
  for (const honest of ['a', 'b']) for (const at of [1, 2]) inbox.pushFrom(honest, 10, `${honest}${at}`);
  inbox.push('ours');
  expect(inbox.take(3)).toEqual(['liar', 'a1', 'b1']);
  inbox.pushFrom('late', 10, 'late1');
  expect(inbox.take(6)).toEqual(['ours', 'liar', 'a2', 'b2', 'late1', 'liar']);
});

test('a member with much waiting is asked to pause until there is room, and no other is', async () => {
  const inbox = new Inbox<number>();
  for (let count = 1; count < inboxLimits.pauseFrames; count += 1)
    expect(inbox.pushFrom('busy', 10, count)).toBeUndefined();
  const room = inbox.pushFrom('busy', 10, 0);
  expect(room).toBeInstanceOf(Promise);
  expect(inbox.pushFrom('other', 10, 0)).toBeUndefined();
  inbox.take(1);
  await room;
  expect(inbox.pushFrom('one-long-frame', inboxLimits.pauseBytes, 0)).toBeInstanceOf(Promise);
});

test('what a member sends beyond its bounds is dropped: in frames, and in bytes', () => {
  const inbox = new Inbox<number>();
  for (let count = 0; count < 5_000; count += 1) inbox.pushFrom('flooder', 1, count);
  expect(inbox.length).toBe(inboxLimits.framesMax);
  expect(inbox.length).toBeLessThanOrEqual(1_024);
  expect(inbox.dropped).toBe(5_000 - inbox.length);
  inbox.take(inbox.length);
  const bytes = 1024 * 1024;
  for (let count = 0; count < 100; count += 1) inbox.pushFrom('flooder', bytes, count);
  expect(inbox.length).toBe(inboxLimits.bytesMax / bytes);
  expect(inbox.length).toBeLessThanOrEqual(32);
});

test('places are shared among those who ask: one with a thousand tasks delays another by one task', async () => {
  const queue = new FairQueue(1);
  const done: string[] = [];
  let free: () => void = () => {};
  const blocked = queue.run('first', () => new Promise<void>((resolve) => (free = resolve)));
  const tasks = Array.from({ length: 1000 }, (_, at) =>
    queue.run('flooder', async () => void done.push(`flooder ${at}`)),
  );
  const honest = ['one', 'two'].map((name) => queue.run(name, async () => void done.push(name)));
  free();
  await Promise.all([blocked, ...tasks, ...honest]);
  expect(done.slice(0, 4)).toEqual(['flooder 0', 'one', 'two', 'flooder 1']);
  expect(done).toHaveLength(1002);
});

test('a task that fails gives its place on', async () => {
  const queue = new FairQueue(1);
  const failed = queue.run('a', () => Promise.reject(new Error('no')));
  const after = queue.run('b', async () => 'done');
  await expect(failed).rejects.toThrow('no');
  expect(await after).toBe('done');
});
