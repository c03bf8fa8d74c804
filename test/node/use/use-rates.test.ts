import { expect, test } from 'vitest';
import { PeerPenalties } from '../../../src/node/use/peer-penalties.ts';
import { UseRates } from '../../../src/node/use/rates.ts';
import { type SignBody, signUse, UseRefusal } from '../../../src/protocol/records/use-request.ts';
import type { Client } from '../../../src/protocol/records/value.ts';
import { seededBytes, VirtualTime } from '../../../src/simulation/world/virtual-time.ts';

const random = seededBytes('rates');
const minuteMs = 60_000;
const client = (ratePerMinute: number): Client => ({
  ...{ name: 'client', publicKey: new Uint8Array(32), rights: [], ratePerMinute },
});
const request = () =>
  signUse<SignBody>(random(32), {
    v: 1,
    ...{ cluster: random(32), client: random(32), key: random(32), operation: 'sign', kind: 'rsa' },
    asked: { scheme: 'pkcs1', hash: 'sha256', digest: random(32), salt: new Uint8Array() },
    ...{ nonce: random(16), expiresAtMs: 0 },
  });

test('a client may ask as often as its rate says, and again as the minute passes', () => {
  const rates = new UseRates();
  const three = client(3);
  for (let minute = 0; minute < 10; minute += 1) {
    const nowMs = minute * (minuteMs + 1);
    for (let count = 0; count < 3; count += 1) rates.count(three, request(), nowMs);
    expect(() => rates.count(three, request(), nowMs)).toThrow(UseRefusal);
  }
});

test('nobody uses up a client’s rate by repeating what it has asked, for as long as that is valid', () => {
  const rates = new UseRates();
  const two = client(2);
  const old = [request(), request()];
  for (const asked of old) rates.count(two, asked, 0);
  for (let nowMs = 1_000; nowMs < 6 * minuteMs; nowMs += 1_000) {
    for (const asked of old) rates.count(two, asked, nowMs);
    if (nowMs % (minuteMs + 1_000) !== 0) continue;
    for (let count = 0; count < 2; count += 1) rates.count(two, request(), nowMs);
    expect(() => rates.count(two, request(), nowMs)).toThrow(UseRefusal);
  }
});

test('a client without a rate is not counted', () => {
  const rates = new UseRates();
  const count = () => rates.count(client(0), request(), 0);
  for (let time = 0; time < 20; time += 1) expect(count).not.toThrow();
});

test('a peer that lied is doubted for long, one that was silent until it answers or a while has passed', async () => {
  const time = new VirtualTime();
  const penalties = new PeerPenalties(time.clock());
  penalties.penalize('liar', 'lied');
  penalties.penalize('slow', 'silent');
  penalties.penalize('slow, then quick', 'silent');
  penalties.answered('slow, then quick');
  penalties.answered('liar');
  penalties.penalize('liar', 'silent');
  expect(penalties.list().map(({ peer, fault }) => [peer, fault])).toEqual([
    ['liar', 'lied'],
    ['slow', 'silent'],
  ]);
  time.schedule(31_000, () => {});
  await time.next();
  expect(['liar', 'slow'].map((peer) => penalties.has(peer))).toEqual([true, false]);
  time.schedule(600_000, () => {});
  await time.next();
  expect(penalties.list()).toEqual([]);
});
