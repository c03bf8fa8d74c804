import { Loopback, loopbackTransport } from './loopback.ts';
import { transportContract } from './transport-contract.ts';

transportContract('libp2p on loopback', () => {
  const loopback = new Loopback();
  return {
    create: (index) =>
      loopbackTransport(index, { queueBounds: { framesMax: 4_096, bytesMax: 4 * 1024 * 1024 } }),
    until: (condition) => loopback.until(condition),
    changed: loopback.changed,
    close: () => loopback.close(),
  };
});
