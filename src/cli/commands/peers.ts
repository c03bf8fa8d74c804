import { Command } from 'commander';
import type { Certainty, PeerView } from '../../node/views/view.ts';
import { optionsOf, withApi } from '../context.ts';
import { faint, progress, say, sayJson, sayTable } from '../terminal.ts';

/** Members are connected to each other. A waiting peer only asks through the lobby now and then. */
const connectionWord = ({ self, state, connected }: PeerView): string => {
  if (self) return 'self';
  if (state === 'waiting') return '-';
  return connected ? 'up' : 'down';
};

/** What a member can do, or why it cannot. A `?` marks what is not known. */
function ability({ ability }: PeerView): string {
  if (ability === null) return '-';
  const { sign, attend } = ability.can;
  const can = [...said('sign', sign), ...said('refresh', attend)];
  const why = ability.barred?.replaceAll('-', ' ') ?? (ability.share === 'missing' ? 'no share' : null);
  return `${can.length === 0 ? 'nothing' : can.join(', ')}${why === null ? '' : `: ${why}`}`;
}

const said = (what: string, can: Certainty): string[] =>
  can === 'yes' ? [what] : can === 'unknown' ? [`${what}?`] : [];

export const peersCommand = (): Command =>
  new Command('peers')
    .description('members, and those who wait for admission, with fingerprints')
    .action(async (_, command: Command) => {
      const peers = await withApi(command, (daemon) => daemon.peers());
      if (optionsOf(command).json) return sayJson({ peers });
      if (peers.length === 0) return say(faint('nobody yet'));
      sayTable(
        ['index', 'name', 'state', 'connection', 'can', 'fingerprint', 'peer'],
        peers.map((peer) => [
          peer.index === null ? '-' : String(peer.index),
          peer.name,
          peer.state,
          connectionWord(peer),
          ability(peer),
          peer.fingerprint ?? '-',
          peer.peer,
        ]),
      );
      const members = new Set(peers.filter(({ state }) => state === 'member').map(({ name }) => name));
      const waiting = peers.filter(({ state, self }) => state === 'waiting' && !self);
      if (waiting.length === 0) return;
      const back = waiting.filter(({ name }) => members.has(name)).map(({ name }) => name);
      progress(
        `compare each fingerprint with what join showed there, then: ${[
          ...(back.length < waiting.length ? ['holdfast admit NAME…'] : []),
          ...back.map((name) => `holdfast reinstate ${name}`),
        ].join(', ')}`,
      );
    });
