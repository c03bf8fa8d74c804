/** A cluster of which two of three operators must agree, run from the command line. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operatorFiles } from '../../src/cli/operators.ts';
import { passphraseSource } from '../../src/cli/passphrases.ts';
import { openHome } from '../../src/node/home/home.ts';
import type { ServedGroup } from '../support/served-group.ts';
import { Bench } from './holdfast.ts';

describe('two of three operators', () => {
  const bench = new Bench();
  const [x, y, z] = ['x', 'y', 'z'].map((name) => bench.path(`${name}.key`)) as [string, string, string];
  const order = bench.path('order');
  let said = '';
  let group: ServedGroup;

  /** Options of these operators, each with its own passphrase. */
  const as = (...files: string[]): string[] =>
    files.flatMap((file) => ['--operator', file, '--passphrase-file', `${file}.pass`]);
  const addClient = ['client', 'add', 'ci', '--key', '*', '--may', 'sign', '--rate', '60/min', '--open'];

  beforeAll(async () => {
    for (const file of [x, y, z]) writeFileSync(`${file}.pass`, `secret of ${file}\n`, { mode: 0o600 });
    const passes = [x, y, z].flatMap((file) => ['--passphrase-file', `${file}.pass`]);
    said = (await bench.init(['--operators', `2/${x},${y},${z}`, ...passes])).stderr;
    group = await bench.serve(['b', 'c']);
  });
  afterAll(() => bench.close());

  test('are made with the cluster, outside of the home, and none of them controls it alone', () => {
    expect(said).toContain(
      `operator keys: ${x}, ${y}, ${z}; whoever has any 2 of them and their passphrases controls every key: keep them apart from each other\n`,
    );
    expect(existsSync(bench.path('A/operator.key'))).toBe(false);
    expect(new Set([x, y, z].map((file) => readFileSync(file, 'utf8'))).size).toBe(3);
  });

  test('found it together, at one place, with no client', async () => {
    const home = openHome(bench.path('A'));
    expect(() => operatorFiles(home, {})).toThrow(
      `there is no operator key ${home.operatorFile}; name where one is with --operator FILE`,
    );
    expect(() => operatorFiles(home, { operator: [x, y, x] })).toThrow(
      `${x} is the key of an operator that is named already`,
    );
    const admit = ['admit', '--yes', group.fingerprint('b'), group.fingerprint('c')];
    const alone = await bench.run([...admit, ...as(x)]);
    expect(alone).toMatchObject({
      code: 2,
      stderr:
        'holdfast: this needs 2 of the 3 operators: repeat --operator FILE; all of them here, for founding takes no --order-file\n',
    });
    const file = bench.path('founding');
    const kept = await bench.run([...admit, ...as(x, y), '--order-file', file]);
    expect(kept).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/^holdfast: founding takes no --order-file: .*\n$/),
    });
    expect([existsSync(file), group.status().epoch]).toEqual([false, null]);
    const founded = await bench.run([...admit, ...as(z, x)]);
    expect(founded).toMatchObject({ code: 0, stderr: expect.stringContaining('holdfast key create') });
    expect(group.head.clients).toEqual([]);
    expect(readdirSync(bench.path('A/clients'))).toEqual([]);
  });

  test('an order of one operator is kept in a file for the others, or refused with how to do that', async () => {
    const alone = await bench.run([...addClient, ...as(x)]);
    expect(alone).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /^holdfast: this needs 2 of the 3 operators: .* --order-file FILE .* holdfast order sign FILE\n$/,
      ),
    });
    expect(existsSync(bench.path('A/clients/ci.key'))).toBe(false);
    expect(await bench.must([...addClient, ...as(x), '--order-file', order])).toMatch(
      /: list client ci: sign with \*; 60 requests a minute at each peer; public key [0-9a-f]{64}\norder 1, signed by operator 1: 1 of 2 needed \(there are 3\)\n$/,
    );
    const early = await bench.run(['order', 'submit', order]);
    expect(early).toMatchObject({
      code: 3,
      stderr: `holdfast: ${order} is signed by 1 of the 2 operators that are needed; have another sign it with: holdfast order sign ${order}\n`,
    });
  });

  test('the second is shown what it signs before anything else, and only a yes makes it sign', async () => {
    const written = readFileSync(order);
    const asked = await bench.run(['order', 'sign', order, ...as(z)]);
    expect(asked).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(
        /^list client ci: sign with \*; .*\norder 1 of cluster bench .*\nsigned by operator 1: 1 of 2 needed \(there are 3\)\nholdfast: nobody can answer "sign it\?" here; give --yes\n$/,
      ),
    });
    expect(readFileSync(order).equals(written)).toBe(true);
    const signed = await bench.must(['order', 'sign', order, '--yes', '--json', ...as(z)]);
    expect(JSON.parse(signed)).toMatchObject({
      ...{ file: order, sequence: 1, ancestorEpoch: 0, knownEpoch: 0 },
      ...{ clusterName: 'bench', signedBy: [1, 3], needed: 2, operators: 3 },
      actions: [{ type: 'add-client', words: expect.stringMatching(/^list client ci: sign with \*/) }],
    });
  });

  test('with both signatures it is carried out, once', async () => {
    expect(await bench.must(['order', 'submit', order])).toMatch(/^epoch 1: carried out: list client ci: /);
    expect(group.head.clients.map(({ name }) => name)).toEqual(['ci']);
    const [again, late] = await Promise.all([
      bench.run(['order', 'submit', order]),
      bench.run(['order', 'sign', order, '--yes', ...as(y)]),
    ]);
    expect(again.code).toBe(0);
    expect(again.stdout.toString()).toMatch(/^epoch 1: carried out: .*; this was done already\n$/);
    expect([late.code, late.stderr]).toEqual([3, expect.stringContaining('order 1 was used already')]);
  });

  test('passphrase files are one for all keys, or as many as there are keys', async () => {
    const key = { of: 'a key', fresh: false };
    const one = passphraseSource([`${x}.pass`], 2);
    expect([await one(0, key), await one(1, key)]).toEqual([`secret of ${x}`, `secret of ${x}`]);
    expect(() => passphraseSource([`${x}.pass`, `${y}.pass`], 3)).toThrow(
      '2 passphrase files are no match for 3 operator keys',
    );
  });
});
