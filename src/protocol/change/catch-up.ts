/**
 * §4, the fourth rule: everyone re-sends others' messages of an undecided epoch, with back-off, and whoever
 * was away pulls values, certificates and missing messages. One frame does it: a summary of what I hold; the
 * other side sends the rest.
 */

import { headOf, holdsShare, type ReadableState, retiredHead, selfIn, signsIn } from '../machine/queries.ts';
import { readOutboxKey } from '../machine/record-keys.ts';
import type { Work } from '../machine/work.ts';
import { type Carried, dealingSchema, digestOfDealing, type Frame } from '../records/change-messages.ts';
import { decode, encode, fromHex, hex } from '../records/codec.ts';
import { limits } from '../records/limits.ts';
import type { Link } from '../records/link.ts';
import type { Packet } from '../records/packet.ts';
import { openAccusations } from './accusation.ts';
import { wantedPublics } from './agree.ts';
import { decodePublic } from './validity.ts';

type Summary = Extract<Frame, { type: 'summary' }>;

/** Eight bytes of a packet's signature name it among the few hundred messages of one change. */
const nameOf = (packet: Packet): string => hex(packet.signature.subarray(0, 8));

/** Proposals come last, because they are long. An Attend's orders lie with its plan. */
const heldMessages = (state: ReadableState): Carried[] => [
  ...Object.values(state.durable.attends).map(({ message, carried }) => ({
    ...carried,
    orders: state.durable.plans[hex(message.plan)]?.orders ?? [],
  })),
  ...(['haves', 'votes', 'readys', 'proposals'] as const).flatMap((section) =>
    Object.values(state.durable[section]).map((entry) => entry.carried),
  ),
];

/** What this member can do, told so that the others can advise their people (§9). */
function saidOfSelf(state: ReadableState): Pick<Summary, 'holds' | 'signs'> {
  const epochs = [state.durable.own.head, ...Object.keys(state.durable.shares).map(Number)];
  const held = epochs.filter((epoch) => holdsShare(state, epoch));
  return { holds: held.length === 0 ? null : Math.max(...held), signs: signsIn(state) };
}

/** To everybody, when what this member can do has changed without a message of its own that shows it. */
export function tellOfSelf(work: Work): void {
  for (const peer of Object.keys(work.volatile.authenticated))
    work.emit({ type: 'send', to: peer, frame: summaryOf(work, false) });
}

export function summaryOf(state: ReadableState, reply: boolean): Summary {
  const names = [
    ...heldMessages(state).map(({ packet }) => nameOf(packet)),
    ...Object.values(state.durable.contradictions).flatMap(({ first, second }) =>
      [first, second].map(nameOf),
    ),
    ...openAccusations(state).map(nameOf),
    ...Object.keys(state.durable.subShares).map((digest) => digest.slice(0, 16)),
    ...Object.values(state.volatile.inbox).map(({ digest }) => digest.slice(0, 16)),
  ].sort();
  return {
    type: 'summary',
    epoch: state.durable.own.head,
    oldest: state.durable.own.oldest,
    retired: state.durable.own.retired,
    seen: fromHex(names.join('')),
    wanted: wantedPublics(state),
    wallMs: Math.round(state.volatile.wallMs),
    ...saidOfSelf(state),
    reply,
  };
}

/**
 * Whether a name is among those of a summary, which are sorted: looked up in place, so a long list costs no
 * more than what is held here. Whoever does not sort its list is sent what it has already.
 */
function isListed(names: Uint8Array, name: Uint8Array): boolean {
  let [from, to] = [0, Math.floor(names.length / 8)];
  while (from < to) {
    const middle = (from + to) >>> 1;
    const order = Buffer.compare(names.subarray(8 * middle, 8 * middle + 8), name);
    if (order === 0) return true;
    if (order < 0) from = middle + 1;
    else to = middle;
  }
  return false;
}

/** Answers a summary: links to who is behind; else the messages, dealings and public halves that the sender lacks. */
export function receiveSummary(work: Work, from: string, authenticated: boolean, summary: Summary): void {
  if (authenticated) {
    work.volatile.clockAheadMs = {
      ...work.volatile.clockAheadMs,
      [from]: summary.wallMs - work.volatile.wallMs,
    };
    const { epoch, holds, signs } = summary;
    work.volatile.saidOfSelf = { ...work.volatile.saidOfSelf, [from]: { epoch, holds, signs } };
  }
  if (work.volatile.connected[from])
    work.volatile.chains = {
      ...work.volatile.chains,
      [from]: { head: summary.epoch, oldest: summary.oldest },
    };
  const { head, oldest } = work.durable.own;
  if (summary.epoch > head) {
    work.emit({ type: 'send', to: from, frame: summaryOf(work, false) });
    return;
  }
  if (summary.epoch < head) {
    // Whoever keeps fewer epochs than the sender missed says so in its own summary.
    if (summary.epoch + 1 >= oldest) work.emit({ type: 'send-links', to: from, first: summary.epoch + 1 });
    else if (summary.reply) work.emit({ type: 'send', to: from, frame: summaryOf(work, false) });
    return;
  }
  const proof = work.durable.retires[head];
  if (summary.retired < head && proof !== undefined)
    work.emit({ type: 'send', to: from, frame: { type: 'retire', proof } });
  if (!authenticated) return;
  const seen = (name: string): boolean => isListed(summary.seen, fromHex(name));
  for (const message of heldMessages(work))
    if (!seen(nameOf(message.packet)))
      work.emit({ type: 'send', to: from, frame: { type: 'message', message } });
  for (const { first, second } of Object.values(work.durable.contradictions))
    if (![first, second].every((packet) => seen(nameOf(packet))))
      work.emit({ type: 'send', to: from, frame: { type: 'contradiction', first, second } });
  for (const packet of openAccusations(work))
    if (!seen(nameOf(packet))) work.emit({ type: 'send', to: from, frame: { type: 'accusation', packet } });
  for (const packet of dealingsFor(work, from))
    if (!seen(hex(digestOfDealing(decode(dealingSchema, packet.body).public)).slice(0, 16)))
      work.emit({ type: 'send', to: from, frame: { type: 'message', message: { packet } } });
  const wanted = summary.wanted.flatMap((digest) => work.durable.publics[hex(digest)]?.bytes ?? []);
  const publics = fitting(wanted, (bytes) => bytes.length);
  if (publics.length > 0) work.emit({ type: 'send', to: from, frame: { type: 'publics', publics } });
  if (summary.reply) work.emit({ type: 'send', to: from, frame: summaryOf(work, false) });
}

/** The links of one answer: as many as fit into one frame. */
export const linksInFrame = (links: readonly Link[]): Link[] =>
  fitting(links.slice(0, limits.linksPerFrameMax), (link) => encode(link).length);

/** As many from the front as half a frame holds, and at least one: the next answer brings more. */
export function fitting<T>(items: readonly T[], bytesOf: (item: T) => number): T[] {
  let bytes = 0;
  return items.filter((item, at) => {
    bytes += bytesOf(item);
    return at === 0 || bytes <= limits.frameBytesMax / 2;
  });
}

/** Stored dealings addressed to a peer: our own and those of the operator's command that came through us. */
function dealingsFor(state: ReadableState, peer: string): Packet[] {
  const head = headOf(state);
  const index = head.roster.find((member) => member.peer === peer)?.index;
  if (index === undefined) return [];
  return Object.entries(state.durable.outbox)
    .filter(([key]) => readOutboxKey(key).receiver === index)
    .map(([, { packet }]) => packet);
}

/** Public halves that we asked for; their hash names them. Throws `malformed`. */
export function receivePublics(work: Work, publics: readonly Uint8Array[]): void {
  const wanted = new Set(wantedPublics(work).map(hex));
  if (wanted.size === 0) return;
  for (const bytes of publics) {
    const digest = hex(digestOfDealing(bytes));
    if (!wanted.has(digest)) continue;
    decodePublic(bytes); // a liar may have listed the hash of anything
    work.put('publics', digest, { bytes });
  }
}

/** Whether something is undecided or unfinished, so that summaries go out with back-off. */
const isUnsettled = (state: ReadableState): boolean =>
  state.durable.own.rounds !== null ||
  Object.keys(state.durable.attends).length > 0 ||
  !retiredHead(state) ||
  state.volatile.recall !== null;

/** Rule `resend`: a summary to every connected peer, less and less often while nothing moves. */
export function resend(work: Work): boolean {
  if (!isUnsettled(work) || selfIn(work) === undefined) {
    work.volatile.resendAtMs = null;
    return false;
  }
  if (work.volatile.resendAtMs === null) {
    work.volatile.resendIntervalMs = work.timing.resendMs;
    work.volatile.resendAtMs = work.nowMs + work.volatile.resendIntervalMs;
    return false;
  }
  if (work.nowMs < work.volatile.resendAtMs) return false;
  for (const peer of Object.keys(work.volatile.connected))
    work.emit({ type: 'send', to: peer, frame: summaryOf(work, true) });
  work.volatile.resendIntervalMs = Math.min(work.volatile.resendIntervalMs * 1.5, work.timing.resendMaxMs);
  work.volatile.resendAtMs = work.nowMs + work.volatile.resendIntervalMs;
  return true;
}
