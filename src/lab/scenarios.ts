/** The stories that `holdfast lab run` can tell. */
import type { Scenario } from './scenario.ts';
import { evict } from './scenarios/evict.ts';
import { growAndShrink } from './scenarios/grow-and-shrink.ts';
import { joinDuringRefresh } from './scenarios/join-during-refresh.ts';
import { killAndRecover } from './scenarios/kill-and-recover.ts';
import { partition } from './scenarios/partition.ts';
import { powerCut } from './scenarios/power-cut.ts';

export const scenarios: readonly Scenario[] = [
  joinDuringRefresh,
  killAndRecover,
  partition,
  evict,
  growAndShrink,
  powerCut,
];
