/**
 * Every transition of the core, by name, in the order of protocol §4. After each input the rules run until
 * none fires. A rule returns whether it changed anything; what it did is logged under the names that the table of
 * `machine/rule-names.ts` lists for it.
 */
import { adopt } from './change/adopt.ts';
import { decisionOf, jumpRound, nextRound, precommit, prevote } from './change/agree.ts';
import { apply, combineTrial, ready, retire } from './change/apply.ts';
import { attend, openRounds } from './change/attend.ts';
import { resend } from './change/catch-up.ts';
import { judgeParts } from './change/created-parts.ts';
import { deal, seal } from './change/deal.ts';
import { propose } from './change/propose.ts';
import { recall } from './change/recall.ts';
import { judgeRetire } from './change/retire-proof.ts';
import { check, have } from './change/sub-shares.ts';
import type { PrintedByRule, RuleName } from './machine/rule-names.ts';
import type { Work } from './machine/work.ts';
import { recover } from './recovery/asking.ts';
import { checkMasks } from './recovery/helping.ts';

function decide(work: Work<PrintedByRule<'decide'>>): boolean {
  const link = decisionOf(work);
  if (link === null) return false;
  adopt(work, link);
  return true;
}

/** Each name of the union once, with a rule that prints no other names than the table lists. */
type Rules = { readonly [Name in RuleName]: (work: Work<PrintedByRule<Name>>) => boolean };

/** In this order. */
export const rules: Rules = {
  recall,
  attend,
  'open-rounds': openRounds,
  deal,
  seal,
  'judge-parts': judgeParts,
  check,
  have,
  'jump-round': jumpRound,
  propose,
  prevote,
  precommit,
  decide,
  'next-round': nextRound,
  apply,
  ready,
  'combine-trial': combineTrial,
  'judge-retire': judgeRetire,
  retire,
  recover,
  'recover-check': checkMasks,
  resend,
};
