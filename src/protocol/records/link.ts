/**
 * Links: a value, what certifies it, and the commitments that its digest names. The chain of links is the public
 * history; each is checked from the one before it, so whoever knows one true value can check all later ones (§4).
 */
import { z } from 'zod';
import { encode, sameBytes, shape } from './codec.ts';
import { draftOf, foundingPlanOf, planOf } from './draft.ts';
import { ProtocolError } from './errors.ts';
import { clusterIdOf, type Genesis } from './genesis.ts';
import { limits } from './limits.ts';
import { type Order, operatorSignatureSchema, operatorsAgree, orderSchema } from './order.ts';
import { verifyPacket } from './packet.ts';
import { type Member, memberAt, quorumOf } from './roster.ts';
import {
  digestOfCommitments,
  follows,
  hashOfValue,
  keyCommitmentsSchema,
  type Value,
  valueSchema,
} from './value.ts';
import { record } from './version.ts';

/** A quorum of precommits of one round; of epoch 0: the operators' signatures over the value's hash. */
const certificateSchema = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('precommits'),
    round: shape.round,
    /** Of a forced eviction: its order, which says who decided. */
    forced: orderSchema.optional(),
    votes: z.array(z.strictObject({ by: shape.index, signature: shape.signature })).max(limits.membersMax),
  }),
  z.strictObject({
    type: z.literal('founding'),
    operators: z.array(operatorSignatureSchema).max(limits.operatorsMax),
  }),
]);

export const linkSchema = record('a link', 1, {
  value: valueSchema,
  certificate: certificateSchema,
  commitments: keyCommitmentsSchema,
});
export type Link = z.infer<typeof linkSchema>;

/** The exact bytes that a precommit for `value` signs; certificates keep only the signatures. */
export function precommitBody(
  by: number,
  epoch: number,
  round: number,
  value: Uint8Array | null,
  instance: Uint8Array | null = null,
): Uint8Array {
  return encode({ v: 1, type: 'precommit', by, epoch, round, instance, value });
}

/** Checks that `link` is certified by the roster of `parent`. Throws `bad-certificate` or `bad-link`. */
export function checkLink(genesis: Genesis, clusterId: Uint8Array, parent: Value, link: Link): void {
  const { value, certificate } = link;
  if (!follows(value, parent))
    throw new ProtocolError(
      'bad-link',
      `the value of epoch ${value.epoch} does not follow that of ${parent.epoch}`,
    );
  checkCommitments(link);
  if (certificate.type !== 'precommits')
    throw new ProtocolError('bad-certificate', 'only epoch 0 is certified by operators');
  const hash = hashOfValue(value);
  const deciders = decidersOf(genesis, clusterId, parent, value, certificate.forced);
  const instance = certificate.forced === undefined ? null : value.plan;
  const voted = new Set<number>();
  for (const { by, signature } of certificate.votes) {
    const member = memberAt(deciders, by);
    if (member === undefined || voted.has(by))
      throw new ProtocolError('bad-certificate', `a vote of ${by} does not count`);
    const body = precommitBody(by, value.epoch, certificate.round, hash, instance);
    if (!verifyPacket(clusterId, member.epochKey, { body, signature }))
      throw new ProtocolError('bad-certificate', `the vote of ${by} is not signed by it`);
    voted.add(by);
  }
  if (voted.size < quorumOf(deciders.length, parent.threshold, genesis.faultModel))
    throw new ProtocolError('bad-certificate', `${voted.size} votes are no quorum`);
}

/** Whose precommits count: the parent's roster, or those whom the operators' forced eviction leaves. */
function decidersOf(
  genesis: Genesis,
  clusterId: Uint8Array,
  parent: Value,
  value: Value,
  forced: Order | undefined,
): Member[] {
  if (forced === undefined) return parent.roster;
  const draft = draftOf(genesis, clusterId, parent, [forced]);
  const { forced: remaining } = draft;
  if (remaining === null || !sameBytes(planOf(parent, draft, [forced]), value.plan))
    throw new ProtocolError('bad-certificate', 'the order of a forced eviction does not make its plan');
  return parent.roster.filter(({ index }) => remaining.includes(index));
}

/** Checks epoch 0: signed by the operators, empty of keys, and in accord with the genesis. */
export function checkFounding(genesis: Genesis, link: Link): void {
  const { value, certificate } = link;
  const bad = (why: string): never => {
    throw new ProtocolError('bad-link', `epoch 0: ${why}`);
  };
  if (value.epoch !== 0 || !sameBytes(value.plan, foundingPlanOf(clusterIdOf(genesis))))
    bad('it is not the first value of this cluster');
  if (certificate.type !== 'founding' || !operatorsAgree(genesis, certificate.operators, hashOfValue(value)))
    throw new ProtocolError('bad-certificate', 'epoch 0 is not signed by the operators');
  if (
    value.threshold !== genesis.threshold ||
    value.roster.length < value.threshold ||
    value.roster.length > genesis.membersMax
  )
    bad('the roster does not fit the threshold');
  if (value.ancestors.length > 0) bad('nothing comes before it');
  if (value.keys.length + value.accepted.length + value.lastOrder + value.suspended.length > 0)
    bad('it must not hold keys yet');
  const { roster } = value;
  if (roster.some((member, at) => member.index !== at + 1)) bad('indices must be 1, 2, 3, …');
  if (roster.some(({ keyEpoch }) => keyEpoch !== 0)) bad('keys cannot be younger than it');
  for (const field of ['name', 'peer', 'epochKey'] as const)
    if (new Set(roster.map((member) => String(member[field]))).size !== roster.length)
      bad(`a ${field} is listed twice`);
  checkCommitments(link);
}

/** Throws `bad-link` for commitments other than those whose hash is in the value. */
export function checkCommitments({ value, commitments }: Link): void {
  if (
    commitments.length !== value.keys.length ||
    !sameBytes(digestOfCommitments(commitments), value.commitments)
  )
    throw new ProtocolError('bad-link', `the commitments are not those of epoch ${value.epoch}`);
}
