/**
 * Damaged bytes for the network's own protocols. They go to the readers, and over real streams into a real
 * transport.
 */

import assert from 'node:assert/strict';
import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record';
import { multiaddr } from '@multiformats/multiaddr';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { elementBytes } from '../../src/keys/rsa/numbers.ts';
import { peerIdOf } from '../../src/node/home/identity.ts';
import { admissionOf } from '../../src/node/lobby/lobby-admissions.ts';
import { LobbyServer } from '../../src/node/lobby/lobby-transport.ts';
import { AddressBook } from '../../src/node/network/address-book.ts';
import { gossipTopic, protocolIds } from '../../src/node/network/constants.ts';
import { partialAnswers } from '../../src/node/use/partial-messages.ts';
import {
  admissionSchema,
  invitationText,
  lobbyAnswers,
  parseInvitation,
} from '../../src/protocol/records/admission.ts';
import { frameEnvelope } from '../../src/protocol/records/change-messages.ts';
import { decode, encode } from '../../src/protocol/records/codec.ts';
import { ProtocolError } from '../../src/protocol/records/errors.ts';
import { Loopback, memberOf, testIdentity } from '../node/network/loopback.ts';
import { prefixed, RawMember } from '../node/network/raw-member.ts';
import type { FuzzCounts } from './fuzzing.ts';
import { Mutator } from './mutations.ts';

const clusterId = 'c0ffee';

async function samples(mutator: Mutator) {
  const identity = await testIdentity(7);
  const epochSeed = mutator.bytes(32);
  const admission = admissionOf({
    ...{ cluster: mutator.bytes(32), name: 'newcomer', identity, epochSeed },
    addresses: ['/ip4/127.0.0.1/tcp/4101'],
  });
  const genesis = {
    v: 1 as const,
    ...{
      name: 'fuzzed',
      operators: [ed25519FromSeed(epochSeed).publicKey],
      operatorsNeeded: 1,
      threshold: 3,
    },
    ...{ membersMax: 20, faultModel: 'byzantine' as const, absentEpochsMax: 100, nonce: mutator.bytes(16) },
  };
  const lobby = [`/ip4/127.0.0.1/tcp/4100/p2p/${peerIdOf(identity)}`];
  const record = new PeerRecord({
    peerId: peerIdFromPrivateKey(identity),
    multiaddrs: [multiaddr('/ip4/127.0.0.1/tcp/4101')],
    seqNumber: 1n,
  });
  return {
    admission: encode(admission),
    waiting: lobbyAnswers.encode({ status: 'waiting', fingerprint: 'ab12-cd34', epoch: 3 }),
    invitation: new TextEncoder().encode(invitationText({ v: 1, genesis, lobby })),
    record: (await RecordEnvelope.seal(record, identity)).marshal(),
    partial: partialAnswers.encode({
      type: 'partial',
      partial: elementBytes(12_345n),
      proof: mutator.bytes(900),
    }),
  };
}

/** Feeds every reader of foreign bytes. A reader takes the bytes, or refuses them with an error of ours. */
export async function fuzzReaders(seed: number, inputs: number, counts: FuzzCounts): Promise<void> {
  const mutator = new Mutator(seed);
  const real = await samples(mutator);
  const book = new AddressBook([]);
  book.setMembers([{ peer: peerIdOf(await testIdentity(7)), addresses: [] }]);
  const others = Object.values(real);
  const readers: [where: string, message: Uint8Array, read: (bytes: Uint8Array) => unknown][] = [
    ['admissions in a lobby', real.admission, (bytes) => decode(admissionSchema, bytes)],
    ['answers of a lobby', real.waiting, (bytes) => lobbyAnswers.decode(bytes)],
    ['invitations', real.invitation, (bytes) => parseInvitation(new TextDecoder().decode(bytes))],
    ['address records', real.record, (bytes) => book.addRecord(bytes)],
    ['partials', real.partial, (bytes) => partialAnswers.decode(bytes)],
  ];
  for (const [where, message, read] of readers) {
    const counted = counts.get(where) ?? { inputs: 0, refused: 0 };
    counts.set(where, counted);
    for (let at = 0; at < inputs / readers.length; at += 1) {
      counted.inputs += 1;
      const { bytes } = mutator.mutate(message, others);
      try {
        await read(bytes);
      } catch (error) {
        // Address records are libp2p's format, so the errors are libp2p's too.
        const own = error instanceof ProtocolError || where === 'address records';
        assert(own && !(error instanceof assert.AssertionError), String(error));
        counted.refused += 1;
      }
    }
  }
}

/**
 * Feeds a real transport over real streams. Members with real identities send damaged frames of every
 * protocol until each member is cut off. An honest member is served all the time.
 */
export async function fuzzStreams(seed: number, inputs: number, counts: FuzzCounts): Promise<void> {
  const mutator = new Mutator(seed);
  const loopback = new Loopback();
  const real = await samples(mutator);
  const rogues = await Promise.all(Array.from({ length: 6 }, (_, at) => testIdentity(20 + at)));
  const honest = await loopback.start(0, []);
  const friend = await loopback.start(1, []);
  const lobbyIdentity = await testIdentity(19);
  const lobby = new LobbyServer({
    ...{ identity: lobbyIdentity, listen: ['/ip4/127.0.0.1/tcp/0'] },
    handler: async (_peer, request) => {
      decode(admissionSchema, request);
      return real.waiting;
    },
  });
  const served = async (): Promise<void> => {
    const { signal } = new AbortController();
    const request = mutator.bytes(9);
    assert.deepEqual(await friend.transport.request(honest.transport.peerId, request, { signal }), request);
  };
  const nonce = mutator.bytes(32);
  const messages: [protocol: string, frames: Uint8Array][] = [
    [
      protocolIds.handshake,
      new Uint8Array([...prefixed(nonce), ...prefixed(encode([1, mutator.bytes(64)]))]),
    ],
    [
      protocolIds.direct,
      prefixed(frameEnvelope.encode({ type: 'recall', epoch: 3, nonce: new Uint8Array(32) })),
    ],
    [protocolIds.use, prefixed(new Uint8Array([0, 0, 0, 0, 1, ...real.partial]))],
    [protocolIds.addresses, prefixed(encode([real.record]))],
    ['/meshsub/1.2.0', prefixed(subscription(gossipTopic(clusterId)))],
    ['/ipfs/id/1.0.0', prefixed(real.record)],
    ['/ipfs/ping/1.0.0', mutator.bytes(32)],
    [protocolIds.lobby, prefixed(real.admission)],
  ];
  const others = messages.map(([, bytes]) => bytes);
  try {
    await lobby.start();
    const members = [honest, friend].map((peer) => memberOf(peer));
    const listed = [...members, ...rogues.map((identity) => ({ peer: peerIdOf(identity), addresses: [] }))];
    for (const { transport } of [honest, friend]) await transport.setMembers(listed);
    await loopback.until(() =>
      [honest, friend].every(({ transport }) => transport.authenticated().length === 1),
    );
    let fed = 0;
    for (const identity of rogues) {
      const rogue = await RawMember.start(identity);
      const peer = peerIdOf(identity);
      const share = Math.ceil(((rogues.indexOf(identity) + 1) * inputs) / rogues.length);
      while (fed < share) {
        const cutOff = honest.transport.cutOffs().some((named) => named.peer === peer);
        const [protocol, message] = cutOff
          ? (messages.at(-1) as [string, Uint8Array])
          : mutator.pick(messages);
        const target = protocol === protocolIds.lobby ? lobby.addresses() : honest.transport.addresses();
        const bytes = mutator.mutate(message, others).bytes;
        fed += 1;
        const counted = counts.get(`streams of ${protocol}`) ?? { inputs: 0, refused: 0 };
        counts.set(`streams of ${protocol}`, counted);
        counted.inputs += 1;
        if (!(await sent(rogue, target, protocol, bytes))) counted.refused += 1;
        if (cutOff && fed < share) fed = share; // the next rogue goes on
      }
      await rogue.stop();
      await served();
    }
    assert(!honest.transport.cutOffs().some(({ peer }) => peer === friend.transport.peerId));
  } finally {
    await lobby.stop();
    await loopback.close();
  }
}

/** An RPC that subscribes to a topic: field 1 with the fields 1 (yes) and 2 (the topic). */
function subscription(topic: string): Uint8Array {
  const name = new TextEncoder().encode(topic);
  const inner = [0x08, 1, 0x12, name.length, ...name];
  return new Uint8Array([0x0a, inner.length, ...inner]);
}

/** Opens a stream, sends these bytes, and closes it. Gives true when all of that worked. */
async function sent(
  rogue: RawMember,
  target: readonly string[],
  protocol: string,
  bytes: Uint8Array,
): Promise<boolean> {
  const signal = AbortSignal.timeout(5_000);
  try {
    const to = target.map((address) => multiaddr(address));
    const connection = await rogue.node.dial(to, { signal });
    const stream = await connection.newStream(protocol, { signal, maxOutboundStreams: 100_000 });
    stream.send(bytes);
    await stream.close({ signal });
    return true;
  } catch {
    return false;
  }
}
