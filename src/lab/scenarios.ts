/** The stories that `holdfast lab run` can tell. */
import type { Scenario } from './scenario.ts';
import { crashAtEveryWrite } from './scenarios/crash-at-every-write.ts';
import { evict } from './scenarios/evict.ts';
import { growAndShrink } from './scenarios/grow-and-shrink.ts';
import { joinDuringRefresh } from './scenarios/join-during-refresh.ts';
import { killAndRecover } from './scenarios/kill-and-recover.ts';
import { kills } from './scenarios/kills.ts';
import { liar } from './scenarios/liar.ts';
import { partition } from './scenarios/partition.ts';
import { powerCut } from './scenarios/power-cut.ts';
import { wholeStory } from './scenarios/whole-story.ts';

export const scenarios: readonly Scenario[] = [
  joinDuringRefresh,
  killAndRecover,
  liar,
  partition,
  evict,
  growAndShrink,
  powerCut,
  crashAtEveryWrite,
  kills,
  wholeStory,
];
