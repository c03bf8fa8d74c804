import { peerIdFromPrivateKey } from '@libp2p/peer-id';
import { PeerRecord, RecordEnvelope } from '@libp2p/peer-record';
import { multiaddr } from '@multiformats/multiaddr';
import { expect, test } from 'vitest';
import { peerIdOf } from '../../../src/node/home/identity.ts';
import { AddressBook } from '../../../src/node/network/address-book.ts';
import { testIdentity } from './loopback.ts';

const signed = async (
  author: number,
  subject: number,
  sequence: number,
  ports: number[],
): Promise<Uint8Array> => {
  const record = new PeerRecord({
    peerId: peerIdFromPrivateKey(await testIdentity(subject)),
    multiaddrs: ports.map((port) => multiaddr(`/ip4/127.0.0.1/tcp/${port}`)),
    seqNumber: BigInt(sequence),
  });
  return (await RecordEnvelope.seal(record, await testIdentity(author))).marshal();
};
const ports = (book: AddressBook, peer: string): (string | undefined)[] =>
  book.addressesOf(peer).map((address) => address.toString().split('/')[4]);

test('only a newer record that the member signed itself is taken', async () => {
  const peer = peerIdOf(await testIdentity(1));
  const book = new AddressBook([]);
  book.setMembers([{ peer, addresses: ['/ip4/127.0.0.1/tcp/1'] }]);
  expect(await book.addRecord(await signed(1, 1, 5, [2]))).toBe(peer);
  expect(await book.addRecord(await signed(1, 1, 4, [3]))).toBe(null);
  expect(await book.addRecord(await signed(1, 1, 5, [3]))).toBe(null);
  expect(ports(book, peer)).toEqual(['2', '1']);
  await expect(book.addRecord(await signed(2, 1, 9, [3]))).rejects.toThrow('not signed by its peer');
  const forged = await signed(1, 1, 9, [3]);
  forged[forged.length - 1]! ^= 1;
  await expect(book.addRecord(forged)).rejects.toThrow();
  await expect(book.addRecord(new Uint8Array(100_000))).rejects.toThrow('too large');
  expect(ports(book, peer)).toEqual(['2', '1']);
});

test('names are looked up only where our own configuration says them, never for others', async () => {
  const peer = peerIdOf(await testIdentity(1));
  const ours = `/dns4/b.example/tcp/4101/p2p/${peer}`;
  const theirs = ['/dns/x.example/tcp/1', '/dns4/x.example/tcp/1', '/dns6/x.example/tcp/1'];
  const book = new AddressBook([ours]);
  book.setMembers([{ peer, addresses: [...theirs, '/ip4/127.0.0.1/tcp/1'] }]);
  book.addDiscovered(
    peer,
    [...theirs, '/ip6/::1/tcp/2'].map((address) => multiaddr(address)),
  );
  const record = new PeerRecord({
    peerId: peerIdFromPrivateKey(await testIdentity(1)),
    multiaddrs: [...theirs, '/ip4/127.0.0.1/tcp/3'].map((address) => multiaddr(address)),
    seqNumber: 1n,
  });
  await book.addRecord((await RecordEnvelope.seal(record, await testIdentity(1))).marshal());
  expect(book.addressesOf(peer).map(String)).toEqual([
    `/ip4/127.0.0.1/tcp/3/p2p/${peer}`,
    `/ip6/::1/tcp/2/p2p/${peer}`,
    `/ip4/127.0.0.1/tcp/1/p2p/${peer}`,
    ours,
  ]);
});

test('nothing is kept about strangers, and a removed member is forgotten', async () => {
  const [member, stranger] = [peerIdOf(await testIdentity(1)), peerIdOf(await testIdentity(2))];
  const book = new AddressBook([`/ip4/127.0.0.1/tcp/9/p2p/${stranger}`]);
  book.setMembers([{ peer: member, addresses: [] }]);
  expect(await book.addRecord(await signed(2, 2, 5, [2]))).toBe(null);
  expect(book.addDiscovered(stranger, [multiaddr('/ip4/127.0.0.1/tcp/2')])).toBe(false);
  expect(book.addressesOf(stranger)).toEqual([]);
  await book.addRecord(await signed(1, 1, 5, [2]));
  book.setMembers([{ peer: stranger, addresses: [] }]);
  expect(book.record(member)).toBe(null);
  expect(ports(book, stranger)).toEqual(['9']);
});

test('addresses are bounded, and those that are malformed or name another peer are left out', async () => {
  const [peer, other] = [peerIdOf(await testIdentity(1)), peerIdOf(await testIdentity(2))];
  const book = new AddressBook(['not an address']);
  const many = Array.from({ length: 100 }, (_, index) => `/ip4/127.0.0.1/tcp/${index + 10}`);
  book.setMembers([
    { peer, addresses: ['nonsense', '/unix/tmp/socket', `/ip4/127.0.0.1/tcp/1/p2p/${other}`, ...many] },
  ]);
  expect(book.addressesOf(peer).length).toBeGreaterThan(0);
  expect(book.addressesOf(peer).length).toBeLessThanOrEqual(16);
  expect(ports(book, peer)[0]).toBe('10');
  expect(book.addressesOf(peer)[0]?.toString().endsWith(peer)).toBe(true);
});
