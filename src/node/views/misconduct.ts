/**
 * Members that misbehaved on the network, as problems for `status`. A text stays the same while nothing
 * changes.
 */
import type { Member } from '../../protocol/records/roster.ts';
import type { CutOff } from '../network/transport.ts';
import type { PeerPenalty } from '../use/peer-penalties.ts';
import type { Problem } from './view.ts';

/**
 * A problem for each member that was cut off, and for each member that answered wrong or late. `wallMs` is
 * Unix time in milliseconds.
 */
export function misconductProblems(
  roster: readonly Member[],
  cutOffs: readonly CutOff[],
  penalties: readonly PeerPenalty[],
  wallMs: number,
  /** The end of the sentence "Look at its machine", for a member's name. */
  then: (name: string) => string,
): Problem[] {
  const nameOf = (peer: string): string => roster.find((member) => member.peer === peer)?.name ?? peer;
  const howOften = (times: number): string => (times === 1 ? 'once' : `${times} times`);
  return [
    ...cutOffs.map(({ peer, reason, times, forMs }): Problem => {
      const name = nameOf(peer);
      const until =
        forMs === 0
          ? 'It may connect again'
          : `It is refused until ${new Date(Math.ceil((wallMs + forMs) / 1000) * 1000).toISOString().replace('.000', '')}`;
      return {
        code: 'cut-off',
        what: `${name} sent ${reason} and was cut off, ${howOften(times)} so far. ${until}.`,
        remedy: `Look at ${name}'s machine${then(name)} The others are not affected.`,
      };
    }),
    ...penalties.map(({ peer, fault, times }): Problem => {
      const name = nameOf(peer);
      if (fault === 'suspected')
        return {
          code: 'suspect-partial',
          what: `The proofs of ${name} pass, and signatures with its answers fail, ${howOften(times)} so far; it is asked last now.`,
          remedy: `The key's primes are not safe ones, and somebody may know more of them than they should: ${name}, or two others together.`,
        };
      return fault === 'lied'
        ? {
            code: 'false-partial',
            what: `${name} gave false answers for a signature, ${howOften(times)} so far; it is asked last now.`,
            remedy: `Look at ${name}'s machine${then(name)} No false signature can come of it.`,
          }
        : {
            code: 'slow-partial',
            what: `${name} did not answer in time when a key was used; it is asked last now.`,
            remedy: `Look at ${name}'s machine if this does not pass.`,
          };
    }),
  ];
}
