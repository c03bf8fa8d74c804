/**
 * Many epochs of one small group. A member's store must not grow with the number of epochs, not even when one
 * member adds to it at will.
 */

import { readRecordName } from '../protocol/machine/durable-records.ts';
import { type Frame, messageSchema } from '../protocol/records/change-messages.ts';
import { decode } from '../protocol/records/codec.ts';
import { limits } from '../protocol/records/limits.ts';
import type { Packet } from '../protocol/records/packet.ts';
import { signedAs } from './lies/forging.ts';
import { type Group, groupWithKey } from './world/group.ts';
import type { Node } from './world/nodes.ts';

interface ManyEpochs {
  epochs: number;
  /** A fourth member says everything twice and accuses all others, in every change. */
  liar: boolean;
  reportAt: (done: number) => boolean;
  onReport: (report: Report) => void;
}

/** The sizes after one epoch. */
export interface Report {
  epoch: number;
  /** The bytes of the largest sealed part of an honest store. Plain files do not count. */
  sealedBytes: number;
  /** The bytes of that store by kind of record. */
  byKind: Record<string, number>;
  /** The number of links and retire proofs in the memory of the largest honest core. */
  linksInMemory: number;
}

/** Runs so many epochs. `reportAt` chooses the epochs, counted from 1, after which `onReport` is called. */
export async function manyEpochs({ epochs, liar, reportAt, onReport }: ManyEpochs): Promise<void> {
  const group = await groupWithKey({
    ...{ peers: liar ? 4 : 3, threshold: 2, timing: { refreshJitter: 0 } },
    // The plain files are in memory here, so few of them are kept.
    archiveEpochs: limits.archiveEpochsMin,
  });
  if (liar) group.intercept = (link, frame) => lies(group, link.from, frame);
  const first = group.epochOf(1);
  const honest = group.nodes.slice(0, 3);
  for (let done = 1; done <= epochs; done += 1) {
    group.node(1).driver?.refresh();
    const settledAt = first + done;
    await group.until(() => honest.every(({ driver }) => driver?.state.durable.own.retired === settledAt));
    group.trace.length = 0;
    for (const node of group.nodes) node.outputs.length = 0;
    if (reportAt(done)) onReport(reportOf(settledAt, honest));
  }
  await group.stopAll();
}

function reportOf(epoch: number, nodes: readonly Node[]): Report {
  const sizes = nodes.map(({ home }) => {
    const byKind: Record<string, number> = {};
    for (const [key, value] of home.records) {
      const { section: kind } = readRecordName(key);
      if (kind !== 'chain') byKind[kind] = (byKind[kind] ?? 0) + key.length + value.length;
    }
    return { byKind, sealedBytes: Object.values(byKind).reduce((sum, bytes) => sum + bytes, 0) };
  });
  const [largest] = sizes.sort((a, b) => b.sealedBytes - a.sealedBytes);
  const held = nodes.map(({ driver }) => {
    const { links = {}, retires = {} } = driver?.state.durable ?? {};
    return Object.keys(links).length + Object.keys(retires).length;
  });
  return { epoch, ...(largest as (typeof sizes)[number]), linksInMemory: Math.max(...held) };
}

const digest = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);

/**
 * Each message of the last member comes with a second one in the same slot. Its Haves come with accusations
 * of all others.
 */
function lies(group: Group, from: string, frame: Frame): Frame[] {
  if (from !== 'p4' || frame.type !== 'message') return [frame];
  const message = decode(messageSchema, frame.message.packet.body);
  if (message.by !== 4) return [frame];
  const says = (body: object): Frame[] =>
    signed(group, body).map((packet): Frame => ({ type: 'message', message: { packet } }));
  switch (message.type) {
    case 'have': {
      const digests = Array.from({ length: 96 }, (_, at) => digest(at + 1));
      const accusations = [1, 2, 3].flatMap((dealer) =>
        signed(group, { type: 'accuse', by: 4, epoch: message.epoch, dealer, digest: digest(dealer) }),
      );
      return [
        frame,
        ...says({ ...message, digests }),
        ...accusations.map((packet): Frame => ({ type: 'accusation', packet })),
      ];
    }
    case 'prevote':
    case 'precommit':
      return [frame, ...says({ ...message, value: digest(1) })];
    default:
      return [frame];
  }
}

function signed(group: Group, body: object): Packet[] {
  const packet = signedAs(group.state(4), body);
  return packet === null ? [] : [packet];
}
