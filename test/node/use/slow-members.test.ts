/** Members that are only slow are nobody's liars, and a peer that stops waits for none of them. */

import { expect, test } from 'vitest';
import { elementBytes } from '../../../src/keys/rsa/numbers.ts';
import { settled } from '../../../src/simulation/world/virtual-time.ts';
import { Members } from './five-members.ts';

const gate = () => {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, opened };
};
const peer = (index: number): string => `peer-${index}-of-five`;

/** Where p2 says a false partial. */
function withLiar(): Members {
  const members = new Members();
  members.lies.set(peer(2), () => ({ type: 'partial', partial: elementBytes(4n), proof: null }));
  return members;
}
const blamed = (members: Members) =>
  members
    .service(1)
    .penalties()
    .filter(({ fault }) => fault === 'lied')
    .map(({ peer }) => peer);

test('an answer without a proof that comes when proofs are asked for already is not taken for a lie', async () => {
  const members = withLiar();
  const late = gate();
  const proving = gate();
  members.slow = (to, { prove }) => {
    if (to === peer(2)) return null;
    if (prove) return proving.opened;
    return to === peer(3) ? late.opened : null;
  };
  const answer = members.service(1).sign(members.signing(), 5000);
  await members.until(() => members.proofsAsked >= 1);
  late.open();
  await settled();
  await settled();
  proving.open();
  expect((await answer).signers).not.toContain('p2');
  expect(blamed(members)).toEqual([peer(2)]);
});

test('an answer without a proof that comes while a combination runs, which fails, is not taken for a lie', async () => {
  const members = withLiar();
  const combination = gate();
  const late = gate();
  const rest = gate();
  const combinations = [combination.opened];
  members.combining = () => combinations.shift() ?? null;
  members.slow = (to, { prove }) => {
    if (prove) return to === peer(4) ? null : rest.opened;
    if (to === peer(5)) return late.opened;
    return to === peer(3) ? new Promise(() => {}) : null;
  };
  const answer = members.service(1).sign(members.signing(), 5000);
  // p3 says nothing: p4 and p5 are asked too, and p4's answer begins a combination.
  await members.until(() => combinations.length === 0);
  late.open();
  await settled();
  await settled();
  combination.open();
  await members.until(() => members.proofsAsked === 2);
  rest.open();
  expect((await answer).signers).not.toContain('p2');
  expect(blamed(members)).toEqual([peer(2)]);
});

test('a peer that stops waits for no use of a key, however long its client would', async () => {
  const members = new Members();
  members.slow = () => new Promise(() => {});
  const signing = members.service(1).sign(members.signing(), 300_000);
  const decrypting = members.ask(members.decryption(new Uint8Array(256).fill(1)).request, true);
  const outcomes = Promise.allSettled([signing, decrypting]);
  await settled();
  members.service(1).stop();
  for (const outcome of await outcomes)
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'not-enough-peers' } });
  await expect(members.service(1).sign(members.signing(), 300_000)).rejects.toMatchObject({
    code: 'not-enough-peers',
  });
  expect(await members.time.next()).toBe(false); // no timer is left
});

test('a use of a key ends when its asker has gone, however long it would have waited', async () => {
  const members = new Members();
  members.slow = () => new Promise(() => {});
  const gone = new AbortController();
  const signing = members.service(1).sign(members.signing(), 300_000, gone.signal);
  const { request } = members.decryption(new Uint8Array(256).fill(1));
  const options = { prove: true, timeoutMs: 300_000, gone: gone.signal };
  const outcomes = Promise.allSettled([signing, members.service(1).decrypt(request, options)]);
  await settled();
  gone.abort();
  for (const outcome of await outcomes)
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'not-enough-peers' } });
  expect(await members.time.next()).toBe(false); // no timer is left
});
