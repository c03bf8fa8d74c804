/**
 * Finds secrets of past epochs that Retire should have erased (protocol §4.5). `doctor` shows their kind and
 * number.
 */

import { retiredHead, selfIn } from '../../protocol/machine/queries.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import { hex } from '../../protocol/records/codec.ts';
import type { StatusView } from './view.ts';

/**
 * The leftovers of this peer, by kind. A member that has retired the older epochs holds secrets of known
 * plans of the undecided change, and its listed epoch key. An evicted member holds none. Before Retire every
 * secret still has its use.
 */
export function leftoversIn(state: CoreState): StatusView['leftovers'] {
  const self = selfIn(state);
  if (self !== undefined && !retiredHead(state)) return [];
  const { attended, dealt, subShares, epochSecrets, plans } = state.durable;
  const isOver = (plan: string): boolean => self === undefined || plans[plan] === undefined;
  const inUse = new Set(self === undefined ? [] : [hex(self.epochKey)]);
  for (const [plan, { epochKey }] of Object.entries(attended)) if (!isOver(plan)) inUse.add(hex(epochKey));
  const counts = {
    attended: Object.keys(attended).filter(isOver).length,
    dealt: Object.keys(dealt).filter(isOver).length,
    subShares: Object.values(subShares).filter(({ plan }) => isOver(hex(plan))).length,
    epochSecrets: Object.keys(epochSecrets).filter((key) => !inUse.has(key)).length,
  };
  return (Object.keys(counts) as Array<keyof typeof counts>)
    .map((kind) => ({ kind, count: counts[kind] }))
    .filter(({ count }) => count > 0);
}
