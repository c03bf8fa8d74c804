/**
 * §4.3 the keys of the next value with their commitments. The core sums those of quick kinds itself. Of
 * others a job sums them once for each set of accepted dealings, and the result is remembered.
 */
import { hashOf } from '../../crypto/hash.ts';
import type { Job, KeyBefore, KeySum } from '../machine/io.ts';
import { type JobTag, jobTag } from '../machine/job-tags.ts';
import { areQuick, sumKeys } from '../machine/key-sums.ts';
import { draftOfPlan, headLink, type ReadableState } from '../machine/queries.ts';
import type { Work } from '../machine/work.ts';
import type { DealingPublic } from '../records/change-messages.ts';
import { encode, type Hex, hex, sameBytes } from '../records/codec.ts';
import { type Draft, keyIdOf } from '../records/draft-actions.ts';
import { limits } from '../records/limits.ts';
import { present } from '../records/present.ts';
import { type Accepted, isUnmade, type KeyRecord } from '../records/value.ts';

/** The keys that a member's dealing covers: those that stay, and those that members create together. */
export const dealtKeys = (draft: Draft): KeyRecord[] =>
  draft.keys.filter(({ id }) => !draft.created.some((made) => sameBytes(made.key.id, id)));

function keysBefore(state: ReadableState, draft: Draft): KeyBefore[] {
  const { value, commitments } = headLink(state);
  return dealtKeys(draft).map((key) => {
    const at = value.keys.findIndex((old) => sameBytes(old.id, key.id));
    return {
      key,
      commitments: isUnmade(key) ? null : present(commitments[at], 'commitments of each key'),
    };
  });
}

/**
 * What these dealings make of the keys that they cover, null for no keys. It is computed at once, so a step
 * calls it for quick kinds only.
 */
export const sumsInPlace = (
  state: ReadableState,
  draft: Draft,
  halves: readonly DealingPublic[],
): KeySum[] | null => sumKeys(keysBefore(state, draft), halves);

/**
 * The name of a set of accepted dealings. The plan says what is dealt for and the digests what was dealt. So
 * two sets of one name have one sum.
 */
const nameOf = (plan: Uint8Array, accepted: readonly Accepted[]): Hex =>
  hex(hashOf('holdfast/key-sums/1', encode([plan, accepted.map(({ digest }) => digest)])));

/**
 * What accepted dealings make of the keys that they cover, null for no keys. Where nobody has summed them
 * yet, the job that does.
 * @param halves of the accepted dealings; each is checked, and its parts are judged to be true
 */
export function sumsOf(
  state: ReadableState,
  plan: Uint8Array,
  draft: Draft,
  accepted: readonly Accepted[],
  halves: readonly DealingPublic[],
): { sums: KeySum[] | null } | { tag: JobTag; job: Job } {
  const keys = keysBefore(state, draft);
  if (areQuick(dealtKeys(draft))) return { sums: sumKeys(keys, halves) };
  const set = nameOf(plan, accepted);
  const known = state.volatile.sums[set];
  if (known !== undefined) return { sums: known };
  const bytes = accepted.map(
    ({ digest }) =>
      present(state.durable.publics[hex(digest)], 'the public half of an accepted dealing').bytes,
  );
  return {
    tag: jobTag({ job: 'sum-keys', plan: hex(plan), set }),
    job: { kind: 'sum-keys', keys, halves: bytes },
  };
}

/** Takes in what a job has summed. Of earlier sums the newest few are kept. */
export function summedKeys(work: Work, plan: Hex, set: Hex, sums: KeySum[] | null): void {
  if (draftOfPlan(work, plan) === null) return; // decided meanwhile
  const others = Object.entries(work.volatile.sums).slice(1 - limits.keySumsKept);
  work.volatile.sums = { ...Object.fromEntries(others), [set]: sums };
}

/** Every key of the next value, in the draft's order, with the commitments of its next shares. */
export function nextKeys(
  { clusterId }: ReadableState,
  draft: Draft,
  sums: readonly KeySum[],
): Array<{ key: KeyRecord; commitments: Uint8Array[] }> {
  const dealt = dealtKeys(draft);
  return draft.keys.map((key) => {
    const made = draft.created.find((creation) => sameBytes(creation.key.id, key.id));
    if (made !== undefined) return { key, commitments: made.action.commitments };
    const sum = present(sums[dealt.indexOf(key)], 'a sum of each key');
    if (!isUnmade(key)) return { key, commitments: sum.commitments };
    const created = { ...key, public: sum.public };
    return { key: { ...created, id: keyIdOf(clusterId, created) }, commitments: sum.commitments };
  });
}
