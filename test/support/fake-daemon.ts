/** Shared parts of fake daemons: a status without problems, and listeners. */
import type { StatusView } from '../../src/node/views/view.ts';

/** The status of a member of a 2-of-3 group that has no key and is at rest. */
export const quietStatus: StatusView = {
  name: 'a',
  peer: '12D3KooWfake',
  cluster: '01'.repeat(32),
  clusterName: 'fake',
  state: 'member',
  index: 1,
  fingerprint: null,
  cipher: 'aes',
  gate: 0,
  epoch: 0,
  threshold: 2,
  members: 3,
  faults: 0,
  quorum: 3,
  faultModel: 'byzantine',
  choice: null,
  keys: 0,
  shareEpochs: [0],
  leftovers: [],
  holders: [],
  connected: ['b', 'c'],
  roster: [],
  prospects: null,
  lastChangeAtMs: null,
  nextRefreshAtMs: null,
  change: null,
  pauses: [],
  problems: [],
  warnings: [],
};

/** The listeners of a fake daemon. */
export class Listening {
  readonly listeners = new Set<() => void>();

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  change(): void {
    for (const listener of this.listeners) listener();
  }
}
