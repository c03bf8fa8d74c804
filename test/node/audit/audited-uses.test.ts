/**
 * Every use of a key has its line before its answer leaves, at whoever was asked; without a line there is no
 * answer.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Audit } from '../../../src/node/audit/audit.ts';
import { auditFiles } from '../../../src/node/audit/files.ts';
import { DaemonError } from '../../../src/node/errors.ts';
import type { StoreError } from '../../../src/node/store/store-error.ts';
import type { PartialAnswer } from '../../../src/node/use/partial-messages.ts';
import { hex } from '../../../src/protocol/records/codec.ts';
import { type SignBody, signUse } from '../../../src/protocol/records/use-request.ts';
import type { Value } from '../../../src/protocol/records/value.ts';
import { VirtualTime } from '../../../src/simulation/world/virtual-time.ts';

const bytes = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill);
const request = (nonce: number) =>
  signUse(bytes(32, 1), {
    v: 1,
    cluster: bytes(32, 2),
    client: bytes(32, 3),
    key: bytes(32, 4),
    operation: 'sign',
    kind: 'rsa',
    asked: { scheme: 'pss', hash: 'sha256', digest: bytes(32, 5), salt: bytes(32, 6) },
    nonce: bytes(16, nonce),
    expiresAtMs: 0,
  } satisfies SignBody);
const value = {
  v: 1,
  clients: [{ name: 'build', publicKey: bytes(32, 3) }],
  keys: [{ name: 'ca', id: bytes(32, 4) }],
} as unknown as Value;
const given: PartialAnswer = { type: 'partial', partial: bytes(4, 7), proof: null };

let home = '';
let folder = '';
let audit: Audit;
let time: VirtualTime;
const troubles: Array<StoreError | null> = [];
const lines = () =>
  auditFiles(folder)
    .flatMap(({ path }) => readFileSync(path, 'utf8').split('\n').slice(0, -1))
    .map((line) => JSON.parse(line) as Record<string, unknown>);

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'holdfast-audit-'));
  folder = join(home, 'audit');
  time = new VirtualTime();
  troubles.length = 0;
  audit = await Audit.open({
    folder,
    fileBytesMax: 1024 * 1024,
    filesKept: 4,
    clock: time.clock(),
    remembered: undefined,
    remember: async () => {},
    onTrouble: (error) => troubles.push(error),
    retryMs: 5,
  });
});
afterEach(async () => {
  await audit.close();
  rmSync(home, { recursive: true });
});

const use = (run: () => Promise<{ epoch: number; signers: string[] }>) =>
  audit.use(request(0), { value, run, signersOf: ({ signers }) => signers });

test('an answer leaves after its line: who asked for which digest, and who gave it', async () => {
  await use(async () => ({ epoch: 7, signers: ['a', 'c'] }));
  expect(lines()).toMatchObject([
    {
      ...{ event: 'use', outcome: 'answered', epoch: 7, signers: ['a', 'c'], code: null },
      ...{ client: '03'.repeat(32), clientName: 'build', keyName: 'ca', operation: 'sign' },
      ...{ scheme: 'pss', hash: 'sha256', digest: '05'.repeat(32) },
    },
  ]);
});

test('a refusal has a line with the rule that refused', async () => {
  const refusal = new DaemonError('refused', 'no', { code: 'not-allowed' });
  await expect(use(() => Promise.reject(refusal))).rejects.toBe(refusal);
  await audit.close();
  expect(lines()[0]).toMatchObject({ event: 'use', outcome: 'refused', code: 'not-allowed', signers: [] });
});

test('of several rules that members named, the one that most did', async () => {
  const codes = { a: 'unknown-client', b: 'over-rate', c: 'over-rate' };
  const refusal = new DaemonError('refused', 'no', codes);
  await expect(use(() => Promise.reject(refusal))).rejects.toBe(refusal);
  await audit.close();
  expect(lines()[0]).toMatchObject({ event: 'use', outcome: 'refused', code: 'over-rate' });
});

test('a use that a bug ended has a line too', async () => {
  await expect(use(() => Promise.reject(new Error('a bug')))).rejects.toThrow('a bug');
  await audit.close();
  expect(lines()[0]).toMatchObject({ event: 'use', outcome: 'failed', code: 'internal' });
});

test('what one client is refused endlessly hides nothing of another, and strangers hide nothing of clients', async () => {
  const refuse = (client: number) => {
    const { body } = request(1);
    const asked = signUse(bytes(32, 1), { ...body, client: bytes(32, client) });
    const run = () => Promise.reject(new DaemonError('refused', 'no', { code: 'not-allowed' }));
    return audit.use(asked, { value: { ...value, clients: two }, run, signersOf: () => [] }).catch(() => {});
  };
  const two = [3, 4].map((of) => ({ name: `client-${of}`, publicKey: bytes(32, of) })) as Value['clients'];
  for (let at = 0; at < 50; at += 1) await refuse(3);
  for (let at = 0; at < 50; at += 1) await refuse(9);
  await refuse(4);
  await audit.close();
  const named = lines().filter(({ event }) => event === 'use');
  expect(named.filter(({ clientName }) => clientName === 'client-4')).toHaveLength(1);
  expect(named).toHaveLength(10 + 10 + 1);
  expect(lines().filter(({ event }) => event === 'repeated')).toMatchObject([
    { what: 'use', from: 'client-3', count: 40 },
    { what: 'use', from: 'unlisted', count: 40 },
  ]);
});

test('a partial leaves after its line; the same one again is counted, and so are endless refusals', async () => {
  const ask = (nonce: number, answer: PartialAnswer) =>
    audit.partial(
      'b',
      { type: 'partial', epoch: 7, request: request(nonce), prove: false },
      { value, answer },
    );
  expect(await ask(1, given)).toBe(given);
  expect(lines()).toMatchObject([{ event: 'partial', from: 'b', outcome: 'given', epoch: 7 }]);
  for (let at = 0; at < 500; at += 1) await ask(1, given);
  for (let at = 0; at < 500; at += 1) await ask(at, { type: 'refused', code: 'bad-signature', why: 'no' });
  await audit.close();
  const counts = lines().filter(({ event }) => event === 'repeated');
  expect(counts).toMatchObject([
    { what: 'partial', from: 'b', outcome: 'given again', count: 500 },
    { what: 'partial', from: 'b', outcome: 'refused', code: 'bad-signature', count: 490 },
  ]);
  expect(lines().length).toBe(1 + 10 + counts.length + 1);
});

test('no line holds a partial, a signature or a plaintext', async () => {
  await audit.partial(
    'b',
    { type: 'partial', epoch: 7, request: request(1), prove: false },
    { value, answer: given },
  );
  const text = JSON.stringify(lines());
  expect(text).not.toContain(hex(bytes(4, 7)));
  expect(text).not.toContain(hex(request(1).signature));
});

test('when no line can be written, no answer and no partial leaves, and the trouble is told', async () => {
  // The next file cannot be made: its folder is gone.
  rmSync(folder, { recursive: true });
  const answer = use(async () => ({ epoch: 7, signers: ['a'] }));
  await expect(answer).rejects.toMatchObject({ code: 'unwritable' });
  expect(troubles.at(0)).not.toBeNull();
  let ran = false;
  const early = use(async () => {
    ran = true;
    return { epoch: 7, signers: [] };
  });
  await expect(early).rejects.toMatchObject({ code: 'unwritable' });
  expect(ran).toBe(false);
  const partial = await audit.partial(
    'b',
    { type: 'partial', epoch: 7, request: request(1), prove: false },
    { value, answer: given },
  );
  expect(partial).toMatchObject({ type: 'refused', code: 'no-audit' });
});
