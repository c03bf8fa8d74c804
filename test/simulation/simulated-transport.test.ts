import { expect, test } from 'vitest';
import { SimulatedNetwork } from '../../src/simulation/world/simulated-network.ts';
import type { Scheduler } from '../../src/simulation/world/virtual-time.ts';
import { Recorder } from '../node/network/recorder.ts';
import { type ContractNetwork, transportContract } from '../node/network/transport-contract.ts';

/** Virtual time that moves from task to task; between two tasks, promises settle. */
class VirtualScheduler implements Scheduler {
  readonly #tasks: { at: number; order: number; run: () => void }[] = [];
  #now = 0;
  #order = 0;

  now(): number {
    return this.#now;
  }

  schedule(delayMs: number, run: () => void): () => void {
    const task = { at: this.#now + delayMs, order: this.#order, run };
    this.#order += 1;
    this.#tasks.push(task);
    this.#tasks.sort((one, other) => one.at - other.at || one.order - other.order);
    return () => {
      const index = this.#tasks.indexOf(task);
      if (index >= 0) this.#tasks.splice(index, 1);
    };
  }

  async runUntil(condition: () => boolean): Promise<void> {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (condition()) return;
      const task = this.#tasks.shift();
      if (!task) throw new Error('nothing more happens, and the condition does not hold');
      this.#now = task.at;
      task.run();
    }
  }
}

const noSettling = () => {};

function openSimulated(): ContractNetwork {
  const scheduler = new VirtualScheduler();
  const network = new SimulatedNetwork({
    scheduler,
    seed: 1,
    queueBytesMax: 4 * 1024 * 1024,
    reproofMs: 300,
  });
  return {
    create: async (index) => network.transport(`peer-${index}`),
    until: (condition) => scheduler.runUntil(condition),
    changed: noSettling,
    close: async () => {},
  };
}

transportContract('simulated network', openSimulated);

async function history(seed: number): Promise<string[]> {
  const scheduler = new VirtualScheduler();
  const network = new SimulatedNetwork({ scheduler, seed, lossRate: 0.2, duplicateRate: 0.1 });
  const lines: string[] = [];
  const peers = ['a', 'b', 'c'];
  const transports = peers.map((peer) => network.transport(peer));
  for (const transport of transports) {
    const recorder = new Recorder(noSettling);
    recorder.onMessage = (from, frame, via) => {
      lines.push(`${scheduler.now()} ${from}→${transport.peerId} ${via} ${frame.join()}`);
    };
    await transport.setMembers(peers.map((peer) => ({ peer, addresses: [] })));
    await transport.start(recorder, recorder);
  }
  await scheduler.runUntil(() => transports.every((transport) => transport.authenticated().length === 2));
  for (let round = 0; round < 50; round += 1) {
    for (const transport of transports) transport.publish(Uint8Array.of(round));
    transports[0]?.send('b', Uint8Array.of(round, round));
  }
  let idle = false;
  scheduler.schedule(10_000, () => {
    idle = true;
  });
  await scheduler.runUntil(() => idle);
  return lines;
}

test('the same seed gives the same history, another seed another', async () => {
  const first = await history(5);
  expect(first.length).toBeGreaterThan(200);
  expect(await history(5)).toEqual(first);
  expect(await history(6)).not.toEqual(first);
});

test('a partition separates groups, and healing joins them again', async () => {
  const scheduler = new VirtualScheduler();
  const network = new SimulatedNetwork({ scheduler, seed: 3 });
  const peers = ['a', 'b', 'c', 'd'];
  const transports = peers.map((peer) => network.transport(peer));
  for (const transport of transports) {
    const recorder = new Recorder(noSettling);
    await transport.setMembers(peers.map((peer) => ({ peer, addresses: [] })));
    await transport.start(recorder, recorder);
  }
  const authenticated = () => transports.map((transport) => transport.authenticated().join(''));
  await scheduler.runUntil(() => authenticated().every((others) => others.length === 3));
  network.partition([
    ['a', 'b'],
    ['c', 'd'],
  ]);
  expect(authenticated()).toEqual(['b', 'a', 'd', 'c']);
  network.cut('a', 'b');
  expect(authenticated()).toEqual(['', '', 'd', 'c']);
  network.mend('a', 'b');
  await scheduler.runUntil(() => authenticated()[0] === 'b');
  network.heal();
  await scheduler.runUntil(() => authenticated().every((others) => others.length === 3));
});
