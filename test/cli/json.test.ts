/** With `--json` every command that reports says one document, whatever it says to people. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { spawnCommand } from '../../src/lab/command.ts';
import type { ServedGroup } from '../support/served-group.ts';
import { Bench, type ManyResult } from './holdfast.ts';

describe('with --json', () => {
  const bench = new Bench();
  let group: ServedGroup;
  const at = bench.path.bind(bench);
  const env = { HOLDFAST_HOME: at('A'), CREDENTIALS_DIRECTORY: bench.credentials };

  /** What each command says on standard output when it ends with 0, or with the code after its words. */
  async function documents(
    commands: ReadonlyArray<{ words: string[]; codes?: number[] }>,
  ): Promise<unknown[]> {
    const results = await bench.runMany(commands.map(({ words }) => [...words, '--json']));
    return commands.map(({ words, codes = [0] }, index) => {
      const { code, stdout, stderr } = results[index] as ManyResult;
      expect(codes, `${words.join(' ')}: ${stderr}`).toContain(code);
      try {
        return JSON.parse(stdout);
      } catch {
        throw new Error(`holdfast ${words.join(' ')} --json said ${stdout}`);
      }
    });
  }

  beforeAll(async () => {
    const { invitation } = JSON.parse((await bench.init(['--json'])).stdout);
    group = await bench.serve(['b', 'c']);
    writeFileSync(at('invitation'), invitation);
    writeFileSync(at('message'), 'signed\n');
  });
  afterAll(() => bench.close());

  test('each command is one document', async () => {
    const confirmed = ['b', 'c'].map((name) => group.fingerprint(name));
    const primes = ['--primes-file', bench.primes()];
    const create = ['key', 'create', 'ca', '--use', 'sign', ...primes, '--client', 'web', '--open'];
    const [founded, created, signed] = await documents([
      { words: ['admit', 'b', 'c', '--yes', ...confirmed] },
      { words: create },
      { words: ['sign', '--key', 'ca', at('message')] },
    ]);
    expect(founded).toMatchObject({ epoch: 0, members: ['a', 'b', 'c'] });
    expect(created).toMatchObject({
      ...{ name: 'ca', bits: 2048, epoch: 1, already: false },
      client: { name: 'web', file: at('A/clients/web.key') },
    });
    expect(signed).toMatchObject({
      scheme: 'pkcs1',
      hash: 'sha256',
      epoch: 1,
      signers: ['a', expect.stringMatching(/^[bc]$/)],
    });
    const { signature } = signed as { signature: string };
    writeFileSync(at('sig'), Buffer.from(signature, 'base64'));

    const verify = ['verify', '--key', 'ca', '--signature'];
    const listen = '/ip4/127.0.0.1/tcp/0';
    const place = ['--home', at('B'), '--listen', listen, '--lobby-listen', listen];
    const invitation = readFileSync(at('invitation'), 'utf8');
    const table: [words: string[], document: object, codes?: number[]][] = [
      [['status'], { epoch: 1, state: 'member' }],
      [['peers'], { peers: [{ name: 'a' }, { name: 'b' }, { name: 'c' }] }],
      [['epochs'], { epochs: [{ epoch: 1 }, { epoch: 0 }] }],
      [['epochs', '1'], { epoch: 1 }],
      [['key', 'list'], { keys: [{ name: 'ca' }] }],
      [['key', 'public', 'ca'], { name: 'ca', bits: 2048, jwk: { kty: 'RSA' }, pem: expect.any(String) }],
      [['client', 'list'], { clients: [{ name: 'web' }] }],
      [['client', 'sign-request', '--key', 'ca', at('message')], { request: expect.anything() }],
      [[...verify, at('sig'), at('message')], { valid: true }],
      [[...verify, bench.primes(), at('message')], { valid: false }, [3]],
      [['invite'], { invitation: expect.any(String) }],
      [['join', invitation, '--name', 'b', ...place], { name: 'b', fingerprint: expect.any(String) }],
      [['audit'], { lines: [] }],
      [['audit', '--verify'], { whole: true }],
      // What it finds on this machine, a swap file say, is not the test's.
      [['doctor'], { healthy: expect.any(Boolean), problems: expect.any(Array) }, [0, 1]],
      [['lab', 'run'], { scenarios: expect.arrayContaining([expect.objectContaining({ name: 'liar' })]) }],
      [['client', 'remove', 'web', '--order-file', at('order')], { file: at('order') }],
      [['order', 'sign', at('order'), '--yes'], { file: at('order') }],
      [['order', 'submit', at('order')], { decided: true, epoch: 2 }],
      [['key', 'destroy', 'ca', '--yes', 'ca'], { decided: true, epoch: 3 }],
      [['refresh'], { from: 3, done: false }],
      [['refresh', '--wait'], { from: expect.any(Number), epoch: expect.any(Number), done: true }],
      [['evict', 'c', '--yes', 'c', '--no-wait'], { decided: false }],
    ];
    const said = await documents(table.map(([words, , codes]) => (codes ? { words, codes } : { words })));
    table.forEach(([words, document], index) => {
      expect(said[index], words.join(' ')).toMatchObject(document);
    });
  });

  test('status --watch says one document in each line', async () => {
    await group.rest();
    const child = spawnCommand(['status', '--watch', '--json'], env, { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      const epochs: number[] = [];
      if (child.stdout === null) throw new Error('unreachable: it is piped');
      for await (const line of createInterface({ input: child.stdout })) {
        epochs.push(JSON.parse(line).epoch);
        if (epochs.length === 1) group.refresh();
        if (epochs[0] !== epochs.at(-1)) child.kill('SIGINT');
      }
      expect([...new Set(epochs)].slice(0, 2)).toEqual([group.head.epoch - 1, group.head.epoch]);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
