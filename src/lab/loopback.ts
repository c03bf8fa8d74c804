/**
 * The addresses of the peers of a lab without a network of its own. Each peer has a loopback address for
 * itself.
 */
import { randomInt } from 'node:crypto';
import type { Place } from './place.ts';

/**
 * The places of peers 0 to 253. A daemon looks for a free port before it listens on it. With an address of
 * its own, no other peer of this or another lab can take that port meanwhile.
 */
export function loopbackPlaces(): (at: number) => Place {
  const net = `127.${randomInt(1, 255)}.${randomInt(256)}`;
  return (at) => {
    // Only Linux has all of 127.0.0.0/8.
    const host = process.platform === 'linux' ? `${net}.${at + 1}` : '127.0.0.1';
    const listen = `/ip4/${host}/tcp/0`;
    return { listen, lobbyListen: listen, launcher: [] };
  };
}
