/**
 * Ways to flood a daemon over one connection, with or without a proven epoch key. Each counts the things that
 * it sent.
 */
import type { Connection, Stream } from '@libp2p/interface';
import { protocolIds } from '../../src/node/network/constants.ts';
import { quotas } from '../../src/node/network/quotas.ts';
import { partialRequests, type UseQuestion } from '../../src/node/use/partial-messages.ts';
import type { Durable } from '../../src/protocol/machine/durable-state.ts';
import { frameEnvelope } from '../../src/protocol/records/change-messages.ts';
import { pour, prefixed, type RawMember, write } from '../node/network/raw-member.ts';

/** The things that a flood uses. */
export interface FloodTools {
  connection: Connection;
  rogue: RawMember;
  addresses: readonly string[];
  /** Stores of the member e in the middle of earlier changes. They have true messages of all members. */
  captured: readonly Durable[];
  /** Requests that a client truly signed, for another cluster or for a key that does not exist. */
  foreignRequests: () => Record<'otherCluster' | 'otherKey', UseQuestion['request']>;
  /** Called for every thing that was sent. */
  sent: (count?: number) => void;
}

/** One way to flood. */
export interface Flood {
  what: string;
  /** With fewer things sent it is no flood. */
  sentMin: number;
  /**
   * The quota for which the daemon cuts the flooder off. Null: no quota, but the number of streams and the
   * time for a frame bound the flood.
   */
  excess: string | null;
  /** The same without a proven epoch key, when it differs. */
  unproven?: Pick<Flood, 'sentMin' | 'excess'>;
  run: (tools: FloodTools) => Promise<void>;
}

export const rogueFloods: readonly Flood[] = [
  {
    what: 'endless frames',
    sentMin: quotas.refusals.atOnce,
    excess: quotas.refusals.excess,
    run: async ({ connection, sent }) => {
      const frames = Array.from({ length: 256 }, (_, at) => prefixed(new Uint8Array(at).fill(at)));
      await pour(await open(connection), together(frames), () => sent(frames.length));
    },
  },
  {
    what: 'real links, again and again and out of order',
    sentMin: quotas.directFrames.atOnce,
    excess: quotas.directFrames.excess,
    run: async ({ connection, captured, sent }) => {
      const links = Object.values(captured.at(-1)?.links ?? {});
      const frames = links
        .map((link) => prefixed(frameEnvelope.encode({ type: 'links', links: [link] })))
        .toReversed();
      await pour(await open(connection), together(frames), () => sent(frames.length));
    },
  },
  {
    what: 'real Attends, Haves, proposals, votes and Readys, again and again and out of order',
    sentMin: quotas.directFrames.atOnce,
    excess: quotas.directFrames.excess,
    run: async ({ connection, captured, sent }) => {
      const frames = carriedIn(captured).map((message) =>
        prefixed(frameEnvelope.encode({ type: 'message', message })),
      );
      const reversed = frames.toReversed();
      // First backwards, then every second frame, then the rest.
      const turned = [0, 1].flatMap((odd) => frames.filter((_, at) => at % 2 === odd));
      const all = [...reversed, ...turned];
      await pour(await open(connection), together(all), () => sent(all.length));
    },
  },
  {
    what: 'signed requests for another cluster',
    sentMin: quotas.refusals.atOnce,
    excess: quotas.refusals.excess,
    run: (tools) => ask(tools, 'otherCluster'),
  },
  {
    what: 'signed requests for a key that is not',
    sentMin: quotas.refusedUses.atOnce,
    excess: quotas.refusedUses.excess,
    unproven: { sentMin: quotas.refusals.atOnce, excess: quotas.refusals.excess },
    run: (tools) => ask(tools, 'otherKey'),
  },
  {
    what: 'an over-long frame on one stream after another',
    sentMin: quotas.refusals.atOnce,
    excess: quotas.refusals.excess,
    run: async ({ connection, sent }) => {
      for (let count = 0; count < 5_000 && connection.status === 'open'; count += 1) {
        const stream = await open(connection);
        await pour(stream, Uint8Array.of(0xff, 0xff, 0xff, 0x7f, 1, 2, 3));
        sent();
      }
    },
  },
  {
    what: 'ten thousand streams',
    sentMin: quotas.streams.atOnce,
    excess: quotas.streams.excess,
    run: async ({ connection, sent }) => {
      for (let count = 0; count < 10_000 && connection.status === 'open'; count += 1) {
        await open(connection, count % 2 === 0 ? '/ipfs/ping/1.0.0' : '/nothing/1').catch(() => {});
        sent();
      }
    },
  },
  {
    what: 'half a frame on every stream that it may have',
    sentMin: 4,
    excess: null,
    run: async ({ connection, sent }) => {
      const { direct, use, handshake, addresses } = protocolIds;
      const half = async (protocol: string): Promise<void> => {
        const stream = await open(connection, protocol);
        // The head promises 1 MiB, and half of it follows.
        stream.send(new Uint8Array([0x80, 0x80, 0x40, ...new Uint8Array(512 * 1024)]));
        sent();
      };
      const protocols = [direct, use, handshake, addresses].flatMap((one) => new Array(8).fill(one));
      await Promise.allSettled(protocols.map(half));
    },
  },
  {
    what: 'one connection after another',
    sentMin: quotas.connections.atOnce,
    excess: quotas.connections.excess,
    run: async ({ rogue, addresses, sent }) => {
      for (let count = 0; count < 200; count += 1) {
        await rogue.dial(addresses).catch(() => null);
        sent();
      }
    },
  },
];

/** Sends one request again and again. */
async function ask(
  { connection, foreignRequests, sent }: FloodTools,
  which: 'otherCluster' | 'otherKey',
): Promise<void> {
  const stream = await open(connection, protocolIds.use);
  // It reads its answers. Otherwise the daemon could not write any more, and would stop reading too.
  void take(stream).catch(() => {});
  const asked = partialRequests.encode({
    type: 'partial',
    epoch: 1,
    request: foreignRequests()[which],
    prove: false,
  });
  for (let number = 0; number < 20_000; number += 1) {
    const header = [0, 0, 0, number >> 8, number & 255];
    if (!(await write(stream, prefixed(new Uint8Array([...header, ...asked]))))) return;
    sent();
  }
}

async function take(answers: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of answers);
}

const carriedIn = (captured: readonly Durable[]) => {
  const all = captured.flatMap(({ attends, haves, proposals, votes, readys }) =>
    [attends, haves, proposals, votes, readys].flatMap((entries) => Object.values(entries)),
  );
  return [
    ...new Map(
      all.map(({ carried }) => [Buffer.from(carried.packet.signature).toString('hex'), carried]),
    ).values(),
  ];
};

/** The types of the messages in the captured stores. */
export const kindsIn = (captured: readonly Durable[]): Set<string> =>
  new Set(
    captured.flatMap(({ attends, haves, proposals, votes, readys }) =>
      [attends, haves, proposals, votes, readys].flatMap((entries) =>
        Object.values(entries).map(({ message }) => message.type),
      ),
    ),
  );

const together = (frames: readonly Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(frames));

/** Opens a stream without libp2p's own bound on outgoing streams. */
export const open = (connection: Connection, protocol: string = protocolIds.direct): Promise<Stream> =>
  connection.newStream(protocol, { maxOutboundStreams: 100_000, signal: AbortSignal.timeout(5_000) });
