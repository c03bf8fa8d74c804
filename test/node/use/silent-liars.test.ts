/** Members that lie while no proof is asked for, and then fall silent, or tell the truth. */

import { expect, test } from 'vitest';
import { elementBytes } from '../../../src/keys/rsa/numbers.ts';
import { Members } from './five-members.ts';

const peer = (index: number): string => `peer-${index}-of-five`;
const never = new Promise<void>(() => {});

/** Where p2 lies quickly as long as no proof is asked for. */
function withLiar(): Members {
  const members = new Members();
  members.lies.set(peer(2), (honest) =>
    honest.type === 'partial' && honest.proof === null ? { ...honest, partial: elementBytes(4n) } : honest,
  );
  return members;
}
const named = (members: Members) =>
  members
    .service(1)
    .penalties()
    .filter(({ fault }) => fault === 'lied');

test('who lies and is silent when proofs are asked for is named, and the next signature does without it', async () => {
  const members = withLiar();
  const asked: string[] = [];
  members.slow = (to, { prove }) => {
    asked.push(to);
    return prove && to === peer(2) ? never : null;
  };
  await members.service(1).sign(members.signing(), 5000);
  expect(named(members)).toMatchObject([{ peer: peer(2), times: 1 }]);

  const proofs = members.proofsAsked;
  asked.length = 0;
  const { signers } = await members.service(1).sign(members.signing(), 5000);
  expect(signers).toEqual(['p1', 'p3', 'p4']);
  expect(asked).toEqual([peer(3), peer(4)]);
  expect(members.proofsAsked).toBe(proofs);
});

test('who lies and then proves the truth is named for the lie, and signs', async () => {
  const members = withLiar();
  members.slow = (to, { prove }) => (prove && to !== peer(2) && to !== peer(4) ? never : null);
  const { signers } = await members.service(1).sign(members.signing(), 5000);
  expect(signers).toEqual(expect.arrayContaining(['p1', 'p2', 'p4']));
  expect(named(members)).toMatchObject([{ peer: peer(2), times: 1 }]);
});

test('who told the truth beside a liar, and is silent when proofs are asked for, is not named', async () => {
  const members = withLiar();
  members.slow = (to, { prove }) => (prove && (to === peer(2) || to === peer(3)) ? never : null);
  const { signers } = await members.service(1).sign(members.signing(), 5000);
  expect(signers).toEqual(expect.arrayContaining(['p1', 'p4', 'p5']));
  expect(named(members)).toMatchObject([{ peer: peer(2), times: 1 }]);
});
