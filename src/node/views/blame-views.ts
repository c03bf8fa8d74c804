/** Shows members that did wrong, with the kind of evidence, for `epochs`, `status` and the API. */
import { accusersOf, isCertain } from '../../protocol/change/accusation.ts';
import type { Blame } from '../../protocol/machine/durable-state.ts';
import type { CoreState } from '../../protocol/machine/state.ts';
import { encode, hex } from '../../protocol/records/codec.ts';
import { memberAt } from '../../protocol/records/roster.ts';
import { operatorDealer, type Value } from '../../protocol/records/value.ts';
import type { EpochView } from './view.ts';

export type BlameView = EpochView['blamed'][number];

/** The blames of one epoch. `parent` is the value whose members made the change to this epoch. */
export function blameViews(
  state: CoreState,
  epoch: number,
  parent: Value | undefined = (state.durable.links[epoch - 1] ?? state.durable.links[epoch])?.value,
): BlameView[] {
  const roster = parent?.roster ?? [];
  const own = roster.find(({ peer }) => peer === state.peer)?.index;
  const nameOf = (index: number): string =>
    index === operatorDealer
      ? 'the dealer of a new key'
      : (memberAt(roster, index)?.name ?? `member ${index}`);
  const blames = Object.values(state.durable.blames).filter((blame) => blame.epoch === epoch);
  const blamed = new Set(blames.filter(({ kind }) => kind === 'false-sub-share').map(({ by }) => by));
  // A single accusation blames nobody. It is shown, because either the accuser or the accused lies.
  const accused = roster
    .map(({ index }) => index)
    .filter((index) => !blamed.has(index) && accusersOf(state, epoch, index).length > 0)
    .map((by): Blame => ({ epoch, by, kind: 'false-sub-share' }));
  return [...blames, ...accused].map(({ by, kind, proof }) => {
    const signed = proof !== undefined;
    // Accusations are about sub-shares only. They say nothing about sums and masks.
    const dealt = kind === 'false-sub-share';
    const accusers = dealt ? accusersOf(state, epoch, by) : [];
    const told = accusers.length > 0 && accusers.every((index) => index !== own);
    return {
      member: nameOf(by),
      kind,
      evidence: signed ? 'own-signatures' : told ? 'accusations' : 'own-check',
      accusers: accusers.map(nameOf),
      certain: signed || (dealt && isCertain(state, epoch, by, parent)),
      proof: (proof ?? []).map((packet) => hex(encode(packet))),
    };
  });
}

/** A phrase for people, such as `false sub share (found here; accused by north, south: certain)`. */
export function blameInWords({ kind, evidence, accusers, certain }: BlameView): string {
  const others = accusers.length > 0 ? [`accused by ${accusers.join(', ')}`] : [];
  const behind = {
    'own-signatures': ['its own signatures show it'],
    'own-check': ['found here', ...others],
    accusations: others,
  }[evidence];
  const alone = accusers.length === 0 ? 'nobody else can check it' : 'not certain: the accuser may lie';
  return `${kind.replaceAll('-', ' ')} (${behind.join('; ')}: ${certain ? 'certain' : alone})`;
}
