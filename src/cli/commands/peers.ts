import { Command } from 'commander';
import type { PeerView } from '../../node/views/view.ts';
import { optionsOf, withApi } from '../context.ts';
import { faint, progress, say, sayJson, sayTable } from '../terminal.ts';

/** Members are connected to each other; one that waits asks through the lobby, now and then. */
const link = ({ self, state, connected }: PeerView): string => {
  if (self) return 'self';
  if (state === 'waiting') return '-';
  return connected ? 'up' : 'down';
};

export const peersCommand = (): Command =>
  new Command('peers')
    .description('members, and those who wait for admission, with fingerprints')
    .action(async (_, command: Command) => {
      const peers = await withApi(command, (daemon) => daemon.peers());
      if (optionsOf(command).json) return sayJson({ peers });
      if (peers.length === 0) return say(faint('nobody yet'));
      sayTable(
        ['index', 'name', 'state', 'link', 'fingerprint', 'peer'],
        peers.map((peer) => [
          peer.index === null ? '-' : String(peer.index),
          peer.name,
          peer.state,
          link(peer),
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
