/** A member that passes on what is refused: how that counts against it, and that none of it fills the log. */
import { expect, test } from 'vitest';
import { partialAnswers, partialRequests } from '../../../src/node/use/partial-messages.ts';
import { type SignBody, signUse } from '../../../src/protocol/records/use-request.ts';
import { clientSeed, Members, random, value, vault } from './five-members.ts';

const from = 'peer-1-of-five';
const hourMs = 60 * 60_000;

async function pass(members: Members, change: (body: SignBody) => Partial<SignBody>): Promise<string> {
  const { body } = members.signing();
  const request = signUse<SignBody>(clientSeed, { ...body, ...change(body) });
  const asked = partialRequests.encode({ type: 'partial', epoch: value.epoch, request, prove: false });
  const told = partialAnswers.decode(await members.service(4).answer(from, asked));
  return told.type === 'refused' ? told.code : told.type;
}

test.each<[string, string, (body: SignBody) => Partial<SignBody>]>([
  ['is for another cluster', 'wrong-cluster', () => ({ cluster: random(32) })],
  ['uses a key for what it is not', 'wrong-use', () => ({ key: vault.id })],
  ['has no digest of its hash', 'wrong-digest', ({ asked }) => ({ asked: { ...asked, digest: random(31) } })],
  ['expired a day ago', 'expired', ({ expiresAtMs }) => ({ expiresAtMs: expiresAtMs - 25 * hourMs })],
])('a request that %s: no honest member passes it on', async (_what, code, change) => {
  const members = new Members();
  expect(await pass(members, change)).toBe(code);
  expect(members.reproached).toEqual([[from, 'refusals']]);
});

test.each<[string, string, (body: SignBody) => Partial<SignBody>]>([
  ['names a key that is not known', 'unknown-key', () => ({ key: random(32) })],
  ['names a client that is not known', 'unknown-client', () => ({ client: random(32) })],
  ['expired', 'expired', ({ expiresAtMs }) => ({ expiresAtMs: expiresAtMs - hourMs })],
  ['expires in an hour', 'clock', ({ expiresAtMs }) => ({ expiresAtMs: expiresAtMs + hourMs })],
])(
  'a request that %s: an honest member may pass on some of these, and not without end',
  async (_what, code, change) => {
    const members = new Members();
    expect(await pass(members, change)).toBe(code);
    expect(members.reproached).toEqual([[from, 'refusedUses']]);
  },
);

test('requests over a client’s rate: held against nobody, or a client could have the member cut off that it asks', async () => {
  const members = new Members();
  for (const code of ['partial', 'partial', 'over-rate', 'over-rate'])
    expect(await pass(members, ({ asked }) => ({ asked: { ...asked, digest: random(32) } }))).toBe(code);
  expect(members.reproached).toEqual([]);
});

test('a member does not reproach itself', async () => {
  const members = new Members();
  const { body } = members.signing();
  const request = signUse(clientSeed, { ...body, key: random(32) });
  await members
    .service(4)
    .answer(
      'peer-4-of-five',
      partialRequests.encode({ type: 'partial', epoch: value.epoch, request, prove: false }),
    );
  expect(members.reproached).toEqual([]);
});

test('a thousand replays leave no line in the log', async () => {
  const members = new Members();
  for (let at = 0; at < 1000; at += 1) await pass(members, () => ({ expiresAtMs: 0 }));
  expect(members.logged).toEqual([]);
  expect(members.reproached).toHaveLength(1000);
});
