/**
 * Every transition of the core, by name, in the order of protocol §4. After each input the rules run until
 * none fires. A rule returns whether it changed anything; what it did is logged under the name that it gives
 * to `work.rule`.
 */
import { adopt } from './change/adopt.ts';
import { decisionOf, jumpRound, nextRound, precommit, prevote } from './change/agree.ts';
import { apply, combineTrial, ready, retire } from './change/apply.ts';
import { attend, openRounds } from './change/attend.ts';
import { resend } from './change/catch-up.ts';
import { deal, seal } from './change/deal.ts';
import { propose } from './change/propose.ts';
import { recall } from './change/recall.ts';
import { check, have } from './change/sub-shares.ts';
import type { Work } from './machine/work.ts';
import { recover } from './recovery/asking.ts';
import { checkMasks } from './recovery/helping.ts';

function decide(work: Work): boolean {
  const link = decisionOf(work);
  if (link === null) return false;
  adopt(work, link);
  return true;
}

export const rules: ReadonlyArray<readonly [name: string, fire: (work: Work) => boolean]> = [
  ['recall', recall],
  ['attend', attend],
  ['open-rounds', openRounds],
  ['deal', deal],
  ['seal', seal],
  ['check', check],
  ['have', have],
  ['jump-round', jumpRound],
  ['propose', propose],
  ['prevote', prevote],
  ['precommit', precommit],
  ['decide', decide],
  ['next-round', nextRound],
  ['apply', apply],
  ['ready', ready],
  ['combine-trial', combineTrial],
  ['retire', retire],
  ['recover', recover],
  ['recover-check', checkMasks],
  ['resend', resend],
];
