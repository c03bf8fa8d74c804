/**
 * Two machines with one identity, as problems. `status` shows them before all others, because other problems
 * may follow from them.
 */
import type { Member } from '../../protocol/records/roster.ts';
import type { Twin } from '../network/twins.ts';
import type { Problem } from './view.ts';

/** The network's knowledge of copied homes. */
interface TwinsSeen {
  /** Other members that this peer meets on two machines. */
  met: readonly Twin[];
  /** The peer ids of members that meet another machine with this peer's identity. */
  toldBy: readonly string[];
}

/** The code for this peer itself. All that it sees may be wrong because of the other machine. */
const ownCode = 'two-machines';
const othersCode = 'member-on-two-machines';
const never = 'and never start that copy of the home again';
const why = 'Once both take part in a change the member is suspended, and needs a new home.';

/**
 * `proven` says whether this peer has proven its newest epoch key to a member. An older copy of a home cannot
 * do that.
 */
export function twinProblems(
  roster: readonly Member[],
  { met, toldBy }: TwinsSeen,
  proven: boolean,
): Problem[] {
  const nameOf = (peer: string): string => roster.find((member) => member.peer === peer)?.name ?? peer;
  const own: Problem[] =
    toldBy.length === 0
      ? []
      : [
          {
            code: ownCode,
            what: `This home runs on two machines: ${toldBy.map(nameOf).join(', ')} also ${toldBy.length === 1 ? 'meets' : 'meet'} another daemon with its identity.`,
            remedy: proven
              ? `This one holds the member's newest key: stop the other daemon, ${never}. ${why}`
              : `This one lacks the member's newest key: stop this daemon, ${never}. ${why}`,
          },
        ];
  return [...own, ...met.map((twin) => twinProblem(nameOf(twin.peer), twin))];
}

function twinProblem(name: string, { places }: Twin): Problem {
  const copies = places.filter(({ authenticated }) => !authenticated);
  const where = places.map(
    ({ address, authenticated }) => `${address}${authenticated ? ', which has proven its newest key' : ''}`,
  );
  const end =
    copies.length === 1
      ? `Stop the daemon that connects from ${copies[0]?.address}, ${never}.`
      : `Stop the one that runs on the copy, ${never}.`;
  return {
    code: othersCode,
    what: `Two machines run with the identity of ${name}: ${where.join('; ')}.`,
    remedy: `${end} ${why}`,
  };
}
