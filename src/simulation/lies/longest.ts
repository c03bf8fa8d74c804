/**
 * The longest messages of each kind that decoding accepts. They are signed truly. Proposals come for rounds
 * that the liar leads.
 */

import { electors, headOf } from '../../protocol/machine/queries.ts';
import type { Carried, Evidence, Frame } from '../../protocol/records/change-messages.ts';
import { limits } from '../../protocol/records/limits.ts';
import { leaderOf } from '../../protocol/records/roster.ts';
import type { Value } from '../../protocol/records/value.ts';
import type { Liar } from './liar.ts';

const packet = (bytes: number) => ({ body: new Uint8Array(bytes), signature: new Uint8Array(64) });
const some = <T>(count: number, one: (at: number) => T): T[] =>
  Array.from({ length: count }, (_, at) => one(at));

const longPackets = some(limits.membersMax, () => packet(limits.shortBodyBytesMax));
const suspended = some(limits.membersMax, (at) => {
  const [first, second] = [packet(limits.shortBodyBytesMax), packet(limits.shortBodyBytesMax)];
  return { index: at + 1, first, second };
});
const clients: Value['clients'] = some(250, (at) => ({
  name: `c${at}`.padEnd(limits.nameBytesMax, 'x'),
  publicKey: new Uint8Array(32).fill(at),
  rights: some(10, () => ({ key: '*', operations: ['sign', 'decrypt'], schemes: ['pkcs1', 'pss'] })),
  ratePerMinute: 1,
}));

let longOrders: Evidence['orders'] | null = null;
function orders(liar: Liar): Evidence['orders'] {
  const hash = liar.randomBytes(32);
  longOrders ??= some(limits.ordersPerPlanMax, (at) => ({
    body: {
      v: 1,
      cluster: hash,
      ancestor: hash,
      ancestorEpoch: 1,
      sequence: at + 1,
      actions: some(12, () => ({
        type: 'create-key',
        name: 'k',
        use: 'sign',
        kind: 'rsa',
        public: hash,
        dealingKey: hash,
        commitments: some(8, () => new Uint8Array(limits.groupElementBytesMax).fill(1)),
      })),
    },
    signatures: [{ operator: 0, signature: new Uint8Array(64) }],
  }));
  return longOrders;
}

/**
 * Sends one kind of proposal at a time, to one member. All members would be affected in the same way, and the
 * simulator must carry the bytes. False when there is nothing to send.
 */
export function longestOfEverything(liar: Liar): boolean {
  const { state } = liar;
  const to = liar.others[Math.floor(liar.random() * liar.others.length)];
  if (state === null || to === undefined) return false;
  const { epoch } = headOf(state);
  const by = liar.peer.index;
  const now = state.durable.own.rounds?.round ?? 0;
  const known = Object.values(state.durable.proposals)[0];
  const plan = known?.message.value.plan ?? Object.values(state.durable.attends)[0]?.message.plan;
  const say = (message: object, extra: Omit<Carried, 'packet'> = {}): void => {
    for (const frame of liar.forge({ by, epoch: epoch + 1, ...message }, extra)) liar.send(to, frame);
  };
  const evidence: Evidence = {
    attends: longPackets,
    haves: some(limits.membersMax, () => packet(limits.haveBodyBytesMax)),
    orders: orders(liar),
    prevotes: longPackets,
  };
  const vote = (type: string, round: number) => ({
    type,
    round,
    instance: null,
    value: liar.randomBytes(32),
  });
  const ahead = some(limits.roundsAheadMax, (at) => now + at);
  const led = ahead.filter((round) => leaderOf(electors(state), epoch, round).index === by);
  const digests = some(limits.dealingsMax, () => liar.randomBytes(32)).sort((a, b) => Buffer.compare(a, b));
  if (plan !== undefined) say({ type: 'have', plan, digests });
  // Only one part of the value is too long, and everything else is right. Without a known proposal the newest
  // value serves.
  const value = known?.message.value ?? { ...headOf(state), epoch: epoch + 1 };
  const proposal = { type: 'proposal', instance: null, validRound: -1 };
  const shown = known?.carried.evidence ?? { attends: [], haves: [], orders: [], prevotes: [] };
  const values = [{ suspended }, { clients }, {}];
  const which = Math.floor(liar.random() * values.length);
  const round = led[Math.floor(liar.random() * led.length)] ?? now;
  const behind = which < 2 ? shown : evidence;
  if (liar.chance(0.5))
    say({ ...proposal, round, value: { ...value, ...values[which] } }, { evidence: behind });
  for (const each of led) say({ ...proposal, round: each, value }, { evidence: shown });
  // Evidence comes beside a precommit, where it does not belong.
  const far = now + 1 + Math.floor(liar.random() * (limits.roundsAheadMax - 1));
  const beside = liar.sign({ by, epoch: epoch + 1, ...vote('precommit', far) });
  if (beside !== null && liar.chance(0.3))
    liar.send(to, { type: 'message', message: { packet: beside, evidence } });
  for (const each of ahead) for (const type of ['prevote', 'precommit']) say(vote(type, each));
  const attend = { type: 'attend', epochKey: liar.randomBytes(32), sealingKey: liar.randomBytes(32) };
  if (liar.chance(0.2)) say({ ...attend, plan: liar.randomBytes(32) }, { orders: orders(liar) });
  const frames: Frame[] = [
    { type: 'publics', publics: [new Uint8Array(limits.dealingPublicBytesMax)] },
    {
      type: 'contradiction',
      first: packet(limits.shortBodyBytesMax),
      second: packet(limits.shortBodyBytesMax),
    },
    { type: 'retire', proof: { epoch, readys: longPackets, proofs: [] } },
  ];
  for (const frame of frames) if (liar.chance(0.2)) liar.send(to, frame);
  return true;
}
