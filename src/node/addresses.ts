/** Listen addresses made concrete: free ports for port 0, and the addresses under which others can reach them. */
import { createServer, isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/** Replaces every `/tcp/0` by a port that is free now, so that an invitation names ports that stay. */
export async function withFreePorts(listen: readonly string[]): Promise<string[]> {
  const probes = await Promise.all(
    listen.map((address) => (/\/tcp\/0(\/|$)/.test(address) ? openProbe(address) : null)),
  );
  // All probes stay open until each has its port: no two addresses get the same one.
  const concrete = listen.map((address, at) => {
    const probe = probes[at];
    if (probe == null) return address;
    const bound = probe.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
    return address.replace(/\/tcp\/0(?=\/|$)/, `/tcp/${port}`);
  });
  await Promise.all(probes.map((probe) => probe && new Promise((resolve) => probe.close(resolve))));
  return concrete;
}

async function openProbe(address: string) {
  const host = /^\/ip[46]\/([^/]+)\//.exec(address)?.[1];
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: 0, ...(host === undefined ? {} : { host }) }, resolve);
  });
  return server;
}

/**
 * Where others reach what listens on `listen`, each ending in `/p2p/<peer>`: the announced addresses if there are
 * any, else the given ones, with `0.0.0.0` and `::` replaced by those of the interfaces that leave this machine.
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

/** `127.0.0.1:4180` or `[::1]:4180`. Null for anything else. */
export function hostAndPort(text: string): { host: string; port: number } | null {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  const host = bracketed ?? plain ?? '';
  const fits = bracketed === undefined ? isIP(host) === 4 : isIP(host) === 6;
  return fits && port <= 65_535 ? { host, port } : null;
}

/** Only programs on this machine reach it. */
export const isLoopback = (host: string): boolean => host === '::1' || /^127(\.\d+){3}$/.test(host);
