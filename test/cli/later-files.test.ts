/** Files that a later version of Holdfast wrote: commands name them as such, with the file, and leave them as they are. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { operatorPublicKey, readClientFile } from '../../src/cli/key-files.ts';
import { knownGroup } from '../../src/cli/known-group.ts';
import { orderLine } from '../../src/cli/orders.ts';
import { newClientFile } from '../../src/client/client-file.ts';
import { Decryption } from '../../src/client/decryption.ts';
import { openHome } from '../../src/node/home/home.ts';
import { encode } from '../../src/protocol/records/codec.ts';
import type { Order } from '../../src/protocol/records/order.ts';
import { orderOn, paperCluster } from '../../src/simulation/world/paper.ts';
import { Bench } from './holdfast.ts';

const paper = paperCluster();
const order = orderOn(paper, paper.founding.value, { type: 'evict', index: 5 });
const later = (record: object): object => ({ ...record, v: 2, later: [1] });
const ordered = (body: object): string => orderLine({ ...order, body } as Order);

let bench: Bench;
beforeAll(async () => {
  bench = new Bench();
  await bench.init();
});
afterAll(() => bench.close());

function write(name: string, content: string | Uint8Array): string {
  const file = bench.path(name);
  writeFileSync(file, content, { mode: 0o600 });
  return file;
}

test.each([
  ['of a later version', ordered(later(order.body)), 'an order has version 2'],
  ['of a later version, all but its first words unknown', 'holdfast-order17 ??\n', 'an order has version 17'],
  [
    'with an action in it that a later version knows',
    ordered({ ...later(order.body), actions: [{ type: 'x' }] }),
    'an order has version 2',
  ],
])('an order file %s', async (_, line, says) => {
  const file = write('order', line);
  for (const command of ['sign', 'submit']) {
    const { code, stdout, stderr } = await bench.run(['order', command, file]);
    expect([code, stdout.length]).toEqual([1, 0]);
    expect(stderr).toBe(
      `holdfast: ${file}: ${says}, and this Holdfast knows version 1: upgrade Holdfast on this machine\n`,
    );
  }
  expect(readFileSync(file, 'utf8')).toBe(line);
});

test('an order file that is none is called so', async () => {
  for (const line of ['holdfast-order0 AAAA', 'holdfast-orderX', ordered({ ...order.body, more: 1 })])
    expect((await bench.run(['order', 'sign', write('order', line)])).stderr).toContain('is not an order');
});

test.each([
  ['sealed', 'a passphrase'],
  ['open', null],
])('a client file, %s', async (name, passphrase) => {
  const { text } = await newClientFile({ name: 'issuer', order: 1, passphrase, log2N: 10 });
  const file = write(`${name}.key`, JSON.stringify(later(JSON.parse(text))));
  const before = readFileSync(file);
  expect(() => readClientFile(file)).toThrow(`${file}: a client key has version 2, and this Holdfast`);
  expect(readFileSync(file)).toEqual(before);
});

test('an operator’s file', () => {
  const file = join(bench.path('A'), 'operator.key');
  const text = readFileSync(file, 'utf8');
  const newer = write('operator-of-a-later-version', JSON.stringify(later(JSON.parse(text))));
  expect(() => operatorPublicKey(newer)).toThrow(
    `${newer}: an operator key has version 2, and this Holdfast`,
  );
  expect(operatorPublicKey(file)).toHaveLength(32);
});

test('what a home keeps of its group', () => {
  const home = openHome(bench.path('A'));
  const group = knownGroup(home);
  for (const [file, read, what] of [
    [home.seenChainFile, group.seen, 'a link'],
    [home.admissionFile, group.admission, 'an order'],
  ] as const) {
    const bytes = encode({ v: 3, later: 1 });
    writeFileSync(file, bytes, { mode: 0o600 });
    expect(read).toThrow(`${file}: ${what} has version 3, and this Holdfast`);
    expect(new Uint8Array(readFileSync(file))).toEqual(bytes);
  }
});

test('a decryption that waits for its answer', () => {
  const text = JSON.stringify({ v: 2, holdfast: 'decryption', later: 1 });
  expect(() => Decryption.resume(text)).toThrow('a decryption that waits for its answer has version 2');
  expect(Decryption.resume(JSON.stringify({ v: 1, holdfast: 'decryption' }))).toBeNull();
});
