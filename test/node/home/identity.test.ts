import { expect, test } from 'vitest';
import {
  identityFromBytes,
  identityFromSeed,
  identityToBytes,
  peerIdOf,
  signAsIdentity,
  verifyIdentity,
} from '../../../src/node/home/identity.ts';

const seed = new Uint8Array(32).fill(3);
const message = new TextEncoder().encode('holdfast/test/1 a message');

test('the same seed gives the same peer id, also after saving and loading', async () => {
  const identity = await identityFromSeed(seed);
  expect(peerIdOf(await identityFromSeed(seed))).toBe(peerIdOf(identity));
  expect(peerIdOf(identityFromBytes(identityToBytes(identity)))).toBe(peerIdOf(identity));
});

test('libp2p and we accept each other’s signatures', async () => {
  const identity = await identityFromSeed(seed);
  expect(await identity.publicKey.verify(message, signAsIdentity(identity, message))).toBe(true);
  expect(verifyIdentity(peerIdOf(identity), message, await identity.sign(message))).toBe(true);
});

test('false signatures and malformed arguments are refused without throwing', async () => {
  const identity = await identityFromSeed(seed);
  const peer = peerIdOf(identity);
  const signature = signAsIdentity(identity, message);
  const other = peerIdOf(await identityFromSeed(new Uint8Array(32).fill(4)));
  expect(verifyIdentity(other, message, signature)).toBe(false);
  expect(verifyIdentity(peer, message.subarray(1), signature)).toBe(false);
  expect(verifyIdentity(peer, message, signature.subarray(1))).toBe(false);
  expect(verifyIdentity(peer, message, new Uint8Array())).toBe(false);
  expect(verifyIdentity('not a peer id', message, signature)).toBe(false);
  expect(verifyIdentity('', message, signature)).toBe(false);
});
