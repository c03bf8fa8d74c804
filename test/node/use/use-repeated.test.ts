/** One request, asked again and again: collected once, written once, and never answered with what failed. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { Audit } from '../../../src/node/audit/audit.ts';
import { auditFiles } from '../../../src/node/audit/files.ts';
import { partialAnswers, partialRequests } from '../../../src/node/use/partial-messages.ts';
import { encrypted, Members, message, value } from './five-members.ts';

const combinations = ({ jobs }: Members): number => jobs.filter((kind) => kind === 'use-combine').length;

/** A settled promise's outcome in a word; null while it is open. */
function watched(promise: Promise<unknown>) {
  const seen: { outcome: string | null } = { outcome: null };
  promise.then(
    () => {
      seen.outcome = 'answered';
    },
    (error) => {
      seen.outcome = error.code;
    },
  );
  return seen;
}

describe('a request that is repeated', () => {
  test('costs one combination and one line, whether the first is answered or under way; the rest is counted', async () => {
    const members = new Members();
    const home = mkdtempSync(join(tmpdir(), 'holdfast-repeats-'));
    onTestFinished(() => rmSync(home, { recursive: true }));
    const folder = join(home, 'audit');
    const audit = await Audit.open({
      ...{ folder, fileBytesMax: 1024 * 1024, filesKept: 4, clock: members.time.clock() },
      ...{ remembered: undefined, remember: async () => {}, onTrouble: () => {} },
    });
    const request = members.signing();
    const ask = () =>
      audit.use(request, {
        value,
        run: () => members.service(1).sign(request, 5000),
        signersOf: ({ signers }) => signers,
      });
    const together = await Promise.all(Array.from({ length: 10 }, ask));
    for (let at = 0; at < 10; at += 1) expect(await ask()).toEqual(together[0]);
    expect(combinations(members)).toBe(1);
    await audit.close();
    const lines = auditFiles(folder)
      .flatMap(({ path }) => readFileSync(path, 'utf8').trimEnd().split('\n'))
      .map((line) => JSON.parse(line));
    expect(lines).toMatchObject([
      { event: 'use', outcome: 'answered', clientName: 'operator' },
      { event: 'repeated', what: 'use', from: 'operator', outcome: 'answered again', count: 19 },
      { event: 'stop' },
    ]);
  });

  test('is not answered without the client’s own signature, though it was answered with it', async () => {
    const members = new Members();
    const request = members.signing();
    await members.service(1).sign(request, 5000);
    const signature = request.signature.map((byte) => byte ^ 1);
    await expect(members.service(1).sign({ ...request, signature }, 5000)).rejects.toMatchObject({
      code: 'refused',
      details: { code: 'bad-signature' },
    });
  });

  test('is not answered any more when it has expired', async () => {
    const members = new Members();
    const request = members.signing();
    await members.service(1).sign(request, 5000);
    members.time.clock().schedule(121_000, () => {});
    while (await members.time.next()) {}
    await expect(members.service(1).sign(request, 5000)).rejects.toMatchObject({
      details: { code: 'expired' },
    });
  });

  test('waits for the one under way in its own time, and tries again when that one’s was over before', async () => {
    const members = new Members();
    const silent = [2, 3, 4, 5].map((index) => `peer-${index}-of-five`);
    for (const peer of silent) members.lies.set(peer, () => null);
    const request = members.signing();
    const first = watched(members.service(1).sign(request, 3000));
    const shorter = watched(members.service(1).sign(request, 1000));
    const longer = watched(members.service(1).sign(request, 9000));
    await members.until(() => shorter.outcome !== null);
    expect([shorter, first, longer].map(({ outcome }) => outcome)).toEqual(['not-enough-peers', null, null]);
    await members.until(() => first.outcome !== null);
    expect(first.outcome).toBe('not-enough-peers');
    members.lies.clear();
    await members.until(() => longer.outcome !== null);
    expect(longer.outcome).toBe('answered');
    expect(combinations(members)).toBe(1);
  });

  test('asks the members anew when proofs are wanted, and takes what was given without them no more', async () => {
    const members = new Members();
    const { request } = members.decryption(encrypted(message));
    const plain = await members.ask(request);
    expect(await members.ask(request)).toBe(plain);
    const proven = await members.ask(request, true);
    expect(proven.partials).toHaveLength(5);
    expect(members.proofsAsked).toBe(5);
  });
});

test('a partial that no worker can compute is a refusal: in the audit log, and not tried again with each repeat', async () => {
  const members = new Members();
  members.broken.add('peer-4-of-five');
  const asked = partialRequests.encode({
    type: 'partial',
    epoch: value.epoch,
    request: members.signing(),
    prove: false,
  });
  for (let at = 0; at < 3; at += 1) {
    const told = partialAnswers.decode(await members.service(4).answer('peer-1-of-five', asked));
    expect(told).toMatchObject({ type: 'refused', code: 'failed' });
  }
  // A worker that died may have taken the job along: it is tried once more, and not with each repeat.
  expect(members.jobs).toHaveLength(2);
  expect(members.audited).toMatchObject(new Array(3).fill({ type: 'refused', code: 'failed' }));
});
