/** Where the peers of a lab without a network of its own listen: each on a loopback address that only it has. */
import { randomInt } from 'node:crypto';
import type { Place } from './place.ts';

/**
 * Places by a peer's number, from 0 to 253. A free port is looked for before a daemon listens on it: nobody else may
 * take it meanwhile, neither a peer of this lab nor one of another.
 */
export function loopbackPlaces(): (at: number) => Place {
  const net = `127.${randomInt(1, 255)}.${randomInt(256)}`;
  return (at) => {
    // Other systems than Linux have 127.0.0.1 only.
    const host = process.platform === 'linux' ? `${net}.${at + 1}` : '127.0.0.1';
    const listen = `/ip4/${host}/tcp/0`;
    return { listen, lobbyListen: listen, launcher: [] };
  };
}
