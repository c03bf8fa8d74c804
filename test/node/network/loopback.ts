/** libp2p transports on 127.0.0.1 for tests, and waiting for what happens to them. */
import { createHash } from 'node:crypto';
import { ConditionWatch } from '../../../src/lab/condition-watch.ts';
import { type Identity, identityFromSeed } from '../../../src/node/home/identity.ts';
import { Libp2pTransport, type Libp2pTransportOptions } from '../../../src/node/network/libp2p-transport.ts';
import type { MemberAddress } from '../../../src/node/network/transport.ts';
import { Recorder } from './recorder.ts';

export const testIdentity = (index: number): Promise<Identity> =>
  identityFromSeed(new Uint8Array(createHash('sha256').update(`test peer ${index}`).digest()));

export async function loopbackTransport(
  index: number,
  options: Partial<Libp2pTransportOptions> = {},
): Promise<Libp2pTransport> {
  return new Libp2pTransport({
    identity: await testIdentity(index),
    clusterId: 'c0ffee',
    listen: ['/ip4/127.0.0.1/tcp/0'],
    mdns: false,
    // A busy test machine must not look like a dead connection.
    ...options,
    timings: {
      ...{ smallerIdDelayMs: 400, pingTimeoutMsMin: 5_000, pingTimeoutMsMax: 10_000, redialMsMax: 500 },
      ...options.timings,
    },
  });
}

export interface TestPeer {
  transport: Libp2pTransport;
  recorder: Recorder;
}

/** Transports that are stopped together. */
export class Loopback extends ConditionWatch {
  readonly #peers: TestPeer[] = [];

  async start(
    index: number,
    members: readonly MemberAddress[],
    options: Partial<Libp2pTransportOptions> = {},
  ): Promise<TestPeer> {
    const transport = await loopbackTransport(index, options);
    const recorder = new Recorder(this.changed);
    await transport.setMembers(members);
    await transport.start(recorder, recorder);
    const peer = { transport, recorder };
    this.#peers.push(peer);
    return peer;
  }

  authenticated(group: readonly TestPeer[]): Promise<void> {
    return this.until(() =>
      group.every(({ transport }) => transport.authenticated().length === group.length - 1),
    );
  }

  async close(): Promise<void> {
    await Promise.all(this.#peers.splice(0).map(({ transport }) => transport.stop()));
  }
}

export const memberOf = ({ transport }: TestPeer, addresses = transport.addresses()): MemberAddress => ({
  peer: transport.peerId,
  addresses,
});
