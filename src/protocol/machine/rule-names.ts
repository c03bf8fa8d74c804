/**
 * The names of the rules, and the names that are printed in logs, traces and golden transcripts. A function
 * that may print a name declares it in the type of its work (`Work<'adopt'>`). So does each of its callers,
 * up to a rule or an input in this table. A name that is printed and not declared is a type error.
 */

/** Every rule, with the names that it may print when it fires. `rules.ts` says what each rule does. */
export const printedByRule = {
  recall: ['recalled'],
  attend: ['attend', 'contradiction'],
  'open-rounds': ['open-rounds'],
  deal: ['gate-closed', 'deal'],
  seal: [],
  'judge-parts': [],
  check: ['dealing-given-up', 'false-part'],
  have: ['have'],
  'jump-round': ['enter-round'],
  propose: ['propose', 'propose-again'],
  prevote: ['prevote', 'invalid-proposal'],
  precommit: ['precommit', 'invalid-proposal'],
  decide: ['adopt', 'evicted'],
  'next-round': ['enter-round'],
  apply: ['apply'],
  ready: [],
  'combine-trial': [],
  'judge-retire': [],
  retire: ['retire'],
  recover: ['recover-ask', 'recover-run', 'recover-choice', 'recover-again'],
  'recover-check': ['mask-given-up'],
  resend: [],
} as const;

/**
 * The names that may be printed while an input is taken, before the rules fire. Other inputs print nothing.
 */
export const printedByInput = {
  order: ['enter-forced'],
  frame: [
    'adopt',
    'evicted',
    'enter-forced',
    'contradiction',
    'invalid-proposal',
    'muted',
    'recover-grant',
    'recover-hold',
    'recover-wait',
    'recover-told-to-wait',
    'recover-mask',
    'recover-accept',
  ],
  computed: [
    'job-failed',
    'false-sub-share',
    'apply-failed',
    'ready',
    'false-trial',
    'suspect-trial',
    'recover-sum',
    'recover-again',
    'recovered',
  ],
} as const;

export type RuleName = keyof typeof printedByRule;
export type PrintedByRule<Name extends RuleName> = (typeof printedByRule)[Name][number];
type PrintingInput = keyof typeof printedByInput;
export type PrintedByInput<Name extends PrintingInput = PrintingInput> =
  (typeof printedByInput)[Name][number];
export type PrintedName = PrintedByRule<RuleName> | PrintedByInput;
