/** A daemon that knows nothing but what a test gives it. */

import { Changes } from '../../src/api/changes.ts';
import { EventStreams } from '../../src/api/events.ts';
import { encodePublic } from '../../src/keys/rsa/numbers.ts';
import { prospectsOf } from '../../src/node/views/prospects.ts';
import type { Ability, DaemonApi, StatusView } from '../../src/node/views/view.ts';

const choice = { threshold: 2, faultModel: 'byzantine', keys: 0 } as const;

/** Members of 2-of-3, of whom these are up. */
const membersUp = (up: readonly string[]): Ability[] =>
  ['a', 'b', 'c'].map((name, at): Ability => {
    const can = up.includes(name) ? 'yes' : 'no';
    return {
      ...{ index: at + 1, name, self: name === 'a', connection: can === 'yes' ? 'proven' : 'none' },
      ...{ share: 'held', ready: true, barred: null },
      can: { sign: can, attend: can, deal: can, help: can },
    };
  });

/** What is shown of the group when only these are up. */
export const prospectsWith = (...up: string[]): Pick<StatusView, 'prospects'> => ({
  prospects: prospectsOf(membersUp(up), choice),
});

/** The status of a member of a 2-of-3 group that has no key and is at rest. */
const quietStatus: StatusView = {
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

class EmptyDaemon {
  readonly listeners = new Set<() => void>();
  shown: StatusView = { ...quietStatus, ...prospectsWith('a', 'b', 'c') };
  status(): StatusView {
    return this.shown;
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  change(): void {
    for (const listener of this.listeners) listener();
  }
}

export type FakeDaemon = EmptyDaemon & Partial<Omit<DaemonApi, 'status' | 'onChange'>>;
export const fakeDaemon = (): FakeDaemon => new EmptyDaemon();
/** What a test did not give is never asked for. */
export const asDaemon = (fake: FakeDaemon): DaemonApi => fake as unknown as DaemonApi;

/** For doors at which nobody waits for events. */
export const noEvents = (): EventStreams => new EventStreams(1, new Changes(asDaemon(fakeDaemon())));

/** Public values of a key of which nobody knows the private half, as a view shows them. */
export const sampleKey = Buffer.from(
  encodePublic({ modulus: BigInt(`0xc${'3'.repeat(511)}`), exponent: 65537n, base: 4n, constant: 9n }),
).toString('hex');
