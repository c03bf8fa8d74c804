/**
 * Three real daemons, 2 of 3, crash faults: keys to decrypt, an imported key, a destroyed key; OpenSSL on the
 * other side.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientArguments, Lab } from '../../src/lab/lab.ts';
import { fromHex } from '../../src/protocol/records/codec.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';
import { refresh, stolenShares, untilProblem } from './support.ts';

const patienceMs = 120_000;
const secret = 'for one pair of eyes\n';
const message = 'signed by the original and by the group\n';

describe('three daemons with more keys', { timeout: patienceMs }, () => {
  let lab: Lab;
  let ciphertext: string;
  const file = (name: string, content?: string | Uint8Array): string => {
    const path = join(lab.dir, name);
    if (content !== undefined) writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  const client = (): string => lab.clientFile('vault');
  const decrypt = (name: string, key = 'vault') =>
    lab.run(name, [
      ...['decrypt', '--key', key, '--label', 'tape', '--client', client(), '--timeout', '1m', ciphertext],
    ]);

  beforeAll(async () => {
    lab = await Lab.create({
      peers: 3,
      threshold: 2,
      ciphers: ['blowfish', 'aes', 'des'],
      faults: 'crash',
      settings: { dealingWindowMs: 500 },
    });
    const primes = file('vault.primes', JSON.stringify(readyPrimes(2048)));
    const creating = ['key', 'create', 'vault', '--use', 'decrypt', '--primes-file', primes];
    await lab.must('a', [...creating, ...clientArguments('vault')]);
    const pem = file('vault.pem', await lab.must('b', ['key', 'public', 'vault']));
    ciphertext = file('ciphertext');
    const padding = ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha256', 'rsa_oaep_label:74617065'];
    execFileSync(
      'openssl',
      ['pkeyutl', '-encrypt', '-pubin', '-inkey', pem, '-out', ciphertext].concat(
        padding.flatMap((option) => ['-pkeyopt', option]),
      ),
      { input: secret },
    );
  }, patienceMs);
  afterAll(() => lab?.close());

  test('decrypt what OpenSSL encrypted, before and after all shares changed, asked at any peer', async () => {
    const before = await decrypt('b');
    expect(before.stderr).toMatch(/decrypted in epoch \d+ with b, [ac]/);
    expect(before.stdout.toString()).toBe(secret);
    await refresh(lab, 'a');
    expect((await decrypt('c')).stdout.toString()).toBe(secret);
  });

  test('sign nothing with a key made to decrypt: every peer refuses', async () => {
    const { code, stderr } = await lab.run('b', ['sign', '--key', 'vault', '--client', client()], 'x');
    expect(code).toBe(3);
    expect(stderr).toContain('key vault is for decrypt only');
  });

  test('sign with an imported key exactly what its original signs, after a refresh too', async () => {
    const original = file('original.pem');
    execFileSync('openssl', ['genrsa', '-aes256', '-passout', 'pass:rosebud', '-out', original, '2048'], {
      stdio: 'ignore',
    });
    const unlock = ['--pem', original, '--pem-passphrase-file', file('passphrase', 'rosebud\n')];
    await lab.must('a', ['key', 'import', 'old', '--use', 'sign', ...unlock, ...clientArguments('old')]);
    const args = ['dgst', '-sha256', '-sign', original, '-passin', 'pass:rosebud', file('message', message)];
    const expected = execFileSync('openssl', args);
    expect((await lab.sign('b', 'old', message)).equals(expected)).toBe(true);
    await refresh(lab, 'c');
    expect((await lab.sign('c', 'old', message)).equals(expected)).toBe(true);
    const refused = await decrypt('a', 'old');
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain('key old is for sign only');
  });

  test('erase every share of a destroyed key; whoever was away is named until it is back, and the other key goes on', async () => {
    const id = fromHex((await lab.api('a').keys()).find(({ name }) => name === 'vault')?.id ?? '');
    await lab.stop('c');
    expect((await stolenShares(lab, 'c', id)).size).toBe(1);
    const said = (await lab.must('a', ['key', 'destroy', 'vault', '--yes', 'vault'])).toString();
    expect(said).toMatch(/key vault is destroyed; .* and c may still hold a share of it\./);
    for (const name of ['a', 'b']) {
      await lab.untilEpoch((await lab.api('a').status()).epoch ?? 0, [name]);
      expect((await stolenShares(lab, name, id)).size).toBe(0);
    }
    const refused = await decrypt('b');
    expect(refused.code).toBe(3);
    expect(refused.stdout).toHaveLength(0);

    await untilProblem(lab, 'a', 'destroyed-key-held', /and c may still hold/);
    await lab.start('c');
    await lab.until('a', async (api) => {
      const { problems } = await api.status();
      return problems.some(({ code }) => code === 'destroyed-key-held') ? null : true;
    });
    await lab.untilEpoch((await lab.api('a').status()).epoch ?? 0);
    expect((await stolenShares(lab, 'c', id)).size).toBe(0);
    await lab.sign('c', 'old', message);
  });
});
