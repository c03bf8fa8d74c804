/** The history that a peer shows, with every certificate checked. */
import { openHome } from '../node/home/home.ts';
import { hex } from '../protocol/records/codec.ts';
import { checkFounding, checkLink, type Link } from '../protocol/records/link.ts';
import { hashOfValue } from '../protocol/records/value.ts';
import type { Lab } from './lab.ts';

/**
 * The hashes of the values of all epochs, from 0 on, in hex. The peer is not trusted.
 * @throws ProtocolError for a link without a true certificate
 */
export async function certifiedChain(lab: Lab, name: string): Promise<string[]> {
  const { genesis, cluster } = openHome(lab.peer(name).home);
  const chain: string[] = [];
  let newest: Link | undefined;
  for (;;) {
    const links = await lab.api(name).links(chain.length);
    if (links.length === 0) return chain;
    for (const link of links) {
      if (newest === undefined) checkFounding(genesis, link);
      else checkLink(genesis, cluster, newest.value, link);
      chain.push(hex(hashOfValue(link.value)));
      newest = link;
    }
  }
}
