/**
 * Whose partials spoiled a combination, told once another one succeeded. It takes no proof of theirs: a true
 * partial can stand in the place of any other true one. So a liar gains nothing by falling silent when proofs
 * are asked for.
 */
import type { KeyPublic, SharingParameters } from './sharing.ts';
import { combine, type Proof, type RobustResult, verifyProof } from './signing.ts';

type Partials = ReadonlyMap<number, { partial: bigint; proof: Proof | null }>;

/** By index, those in `failed` that are false; nobody while `result` has no signature to tell by. */
export function refutedPartials(request: {
  key: KeyPublic;
  parameters: SharingParameters;
  block: bigint;
  commitments: readonly bigint[];
  context: Uint8Array;
  /** What was combined last, and what came of it. */
  partials: Partials;
  result: RobustResult;
  /** What did not combine before, made of the same block in the same epoch. */
  failed: Partials;
}): number[] {
  const { partials, result, failed, ...proven } = request;
  const { key, parameters, block } = proven;
  if (result.signature === null) return [];
  // Judged only by partials that are proven: of two false ones the errors may cancel, and beside one of them a true one
  // would look false.
  const good = new Map<number, bigint>();
  for (const [index, { partial, proof }] of partials) {
    if (good.size === parameters.threshold) break;
    if (proof === null || result.suspects.includes(index)) continue;
    if (verifyProof({ ...proven, index, partial, proof })) good.set(index, partial);
  }
  if (good.size < parameters.threshold) return [];
  const isTrue = (index: number, partial: bigint): boolean => {
    if (good.get(index) === partial) return true;
    const mixed = new Map(good);
    const [first] = good.keys();
    mixed.delete(good.has(index) ? index : (first as number));
    return combine({ key, parameters, block, partials: mixed.set(index, partial) }) !== null;
  };
  return [...failed].filter(([index, { partial }]) => !isTrue(index, partial)).map(([index]) => index);
}
