/** Peers that are on no roster dial a member. */
import { noise } from '@chainsafe/libp2p-noise';
import { generateKeyPair } from '@libp2p/crypto/keys';
import { tcp } from '@libp2p/tcp';
import { byteStream } from '@libp2p/utils';
import { yamux } from '@libp2p/yamux';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { createLibp2p, type Libp2p } from 'libp2p';
import { protocolIds } from '../../src/node/network/constants.ts';

const protocols = [...Object.values(protocolIds), '/ipfs/id/1.0.0', '/ipfs/ping/1.0.0', '/meshsub/1.1.0'];
const atOnce = 4;

/**
 * Each stranger dials so many times, and tries to get an answer on a stream. Gives the number of dials with
 * an answer.
 */
export async function dialAsStrangers(
  addresses: readonly string[],
  { strangers, dialsEach }: { strangers: number; dialsEach: number },
): Promise<number> {
  const target = addresses.map((address) => multiaddr(address));
  let answered = 0;
  let left = strangers;
  const worker = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      const stranger = await createStranger();
      for (let dial = 0; dial < dialsEach; dial += 1)
        if (await isAnswered(stranger, target, protocols[dial % protocols.length] as string)) answered += 1;
      await stranger.stop();
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return answered;
}

const createStranger = async (): Promise<Libp2p> =>
  createLibp2p({
    privateKey: await generateKeyPair('Ed25519'),
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
  });

async function isAnswered(stranger: Libp2p, target: Multiaddr[], protocol: string): Promise<boolean> {
  const signal = AbortSignal.timeout(5_000);
  try {
    const connection = await stranger.dial(target, { signal, force: true });
    const bytes = byteStream(await connection.newStream(protocol, { signal }));
    await bytes.write(new Uint8Array(64), { signal });
    return (await bytes.read({ signal })) !== null;
  } catch {
    return false; // the dial was refused, as it must be
  }
}
