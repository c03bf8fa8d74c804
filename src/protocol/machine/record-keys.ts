/**
 * The keys of records that several things name together. Only this file builds and reads them. Facts that a
 * record itself holds are read from the record.
 */
import assert from 'node:assert/strict';
import { z } from 'zod';
import type { Vote } from '../records/change-messages.ts';
import { type Hex, hex } from '../records/codec.ts';

/** The kinds of wrong acts for which a member is blamed. */
export const blameKindSchema = z.enum([
  'contradiction',
  'false-sub-share',
  'false-trial',
  'false-sum',
  'false-mask',
]);
export type BlameKind = z.infer<typeof blameKindSchema>;
/** `held`: a change that this member held back. `waited`: a recovery that was told to wait. */
export const pauseKindSchema = z.enum(['held', 'waited']);
export type PauseKind = z.infer<typeof pauseKindSchema>;

/** Plan and author, of an Attend, of a Have, or of two Attends that contradict each other. */
export type AuthorKey = `${Hex}/${number}`;
/** Type, round and author. */
export type VoteKey = `${Vote['type']}/${number}/${number}`;
/** Epoch, member and kind. */
export type BlameKey = `${number}/${number}/${BlameKind}`;
/** Epoch, dealer and accuser. */
export type AccusationKey = `${number}/${number}/${number}`;
/** Epoch, kind and member. The epoch is that of the held or awaited change. */
export type PauseKey = `${number}/${PauseKind}/${number}`;
/** Epoch and key id. */
export type DestroyedKeyKey = `${number}/${Hex}`;
/** Plan and receiver. For the dealing of a new key also the end of that key's id. */
export type OutboxKey = `${Hex}/${number}` | `${Hex}/${number}/${Hex}`;
/** Plan and dealer. For the dealing of a new key also that key's id. */
export type SourceKey = `${Hex}/${number}` | `${Hex}/${number}/${Hex}`;
/** The hash of a valid value. For an invalid value, its hash and the round of its proposal. */
export type VerdictKey = Hex | `${Hex}/${number}`;
/** Epoch and member of the first question of a recovery. */
export type AskedKey = `${number}/${number}`;

export const authorKey = ({ plan, by }: { plan: Uint8Array; by: number }): AuthorKey => `${hex(plan)}/${by}`;
export const voteKey = ({ type, round, by }: Pick<Vote, 'type' | 'round' | 'by'>): VoteKey =>
  `${type}/${round}/${by}`;
export const blameKey = (of: { epoch: number; by: number; kind: BlameKind }): BlameKey =>
  `${of.epoch}/${of.by}/${of.kind}`;
export const accusationKey = (of: { epoch: number; dealer: number; by: number }): AccusationKey =>
  `${of.epoch}/${of.dealer}/${of.by}`;
export const pauseKey = (of: { epoch: number; kind: PauseKind; index: number }): PauseKey =>
  `${of.epoch}/${of.kind}/${of.index}`;
export const destroyedKeyKey = (epoch: number, key: Uint8Array): DestroyedKeyKey => `${epoch}/${hex(key)}`;
/** `created` is the id of the new key of the dealing. A member's own dealing has none. */
export const outboxKey = (plan: Hex, receiver: number, created?: Uint8Array): OutboxKey =>
  created === undefined ? `${plan}/${receiver}` : `${plan}/${receiver}/${hex(created).slice(-16)}`;
export const sourceKey = (plan: Uint8Array, dealer: number, created?: Uint8Array): SourceKey =>
  created === undefined ? `${hex(plan)}/${dealer}` : `${hex(plan)}/${dealer}/${hex(created)}`;
export const invalidKey = (value: Hex, round: number): VerdictKey => `${value}/${round}`;
export const askedKey = (epoch: number, by: number): AskedKey => `${epoch}/${by}`;

/** Whether a key is one of this plan. It does not read the whole key, because almost every step asks this. */
export const isOfPlan = (key: string, plan: Hex): boolean => key.startsWith(`${plan}/`);
export const isOfRound = (key: string, type: Vote['type'], round: number): boolean =>
  key.startsWith(`${type}/${round}/`);

export const readAuthorKey = (key: string): { plan: Hex; by: number } => {
  const [plan, by] = partsOf(key);
  return { plan, by: integer(by) };
};
export function readAccusationKey(key: string): { epoch: number; dealer: number; by: number } {
  const [epoch, dealer, by] = partsOf(key);
  return { epoch: integer(epoch), dealer: integer(dealer), by: integer(by) };
}
export function readOutboxKey(key: string): { plan: Hex; receiver: number } {
  const [plan, receiver] = partsOf(key);
  return { plan, receiver: integer(receiver) };
}
/** The epoch of a key that begins with one. */
export const epochOfKey = (key: string): number => integer(partsOf(key)[0]);

function partsOf(key: string): [string, string, string] {
  const [first = '', second = '', third = ''] = key.split('/');
  return [first, second, third];
}

function integer(text: string): number {
  const number = Number(text);
  assert(text !== '' && Number.isSafeInteger(number), 'a part of a key is a number');
  return number;
}
