import { Command } from 'commander';
import { optionsOf, withDaemon } from '../context.ts';
import { faint, progress, say, sayJson, sayTable } from '../terminal.ts';

export const peersCommand = (): Command =>
  new Command('peers')
    .description('members, and those who wait for admission, with fingerprints')
    .action(async (_, command: Command) => {
      const peers = await withDaemon(command, (daemon) => daemon.peers());
      if (optionsOf(command).json) return sayJson({ peers });
      if (peers.length === 0) return say(faint('nobody yet'));
      sayTable(
        ['index', 'name', 'state', 'link', 'fingerprint', 'peer'],
        peers.map((peer) => [
          peer.index === null ? '-' : String(peer.index),
          peer.name,
          peer.state,
          peer.self ? 'self' : peer.connected ? 'up' : 'down',
          peer.fingerprint ?? '-',
          peer.peer,
        ]),
      );
      if (peers.some((peer) => peer.state === 'waiting' && !peer.self))
        progress('compare each fingerprint with what join showed there, then: holdfast admit NAME…');
    });
