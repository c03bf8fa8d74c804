/** The addresses under which other machines reach this peer. */
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/**
 * The addresses under which others reach the listener, each ending in `/p2p/<peer>`. The announced addresses
 * are used when there are any, and the listen addresses otherwise. In the latter, the addresses of the
 * interfaces that leave this machine take the place of `0.0.0.0` and `::`.
 */
export function reachableAddresses(
  listen: readonly string[],
  announce: readonly string[],
  peer: string,
): string[] {
  const reached = announce.length > 0 ? [...announce] : listen.flatMap(expandWildcard);
  return reached.map((address) => (address.includes('/p2p/') ? address : `${address}/p2p/${peer}`));
}

function expandWildcard(address: string): string[] {
  const wildcard = /^\/(ip4\/0\.0\.0\.0|ip6\/::)\//.exec(address)?.[1];
  if (wildcard === undefined) return [address];
  const family = wildcard.startsWith('ip4') ? 'IPv4' : 'IPv6';
  const protocol = family === 'IPv4' ? 'ip4' : 'ip6';
  const outside = Object.values(networkInterfaces())
    .flatMap((entries) => entries ?? [])
    .filter((entry) => entry.family === family && !entry.internal && !entry.address.startsWith('fe80:'))
    .map((entry) => entry.address);
  const hosts = outside.length > 0 ? outside : [family === 'IPv4' ? '127.0.0.1' : '::1'];
  return hosts.map((host) => address.replace(`/${wildcard}/`, `/${protocol}/${host}/`));
}

/** The parts of `127.0.0.1:4180` or `[::1]:4180`. Null for any other form, and for names. */
export function hostAndPort(text: string): { host: string; port: number } | null {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  const host = bracketed ?? plain ?? '';
  const fits = bracketed === undefined ? isIP(host) === 4 : isIP(host) === 6;
  return fits && port <= 65_535 ? { host, port } : null;
}

/** Whether only programs on this machine reach the host. */
export const isLoopback = (host: string): boolean => host === '::1' || /^127(\.\d+){3}$/.test(host);
