/** Decryption keys, imported keys and destroyed keys, from the command line; OpenSSL is the other side. */

import { execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { readPrivateKey } from '../../src/cli/private-key-file.ts';
import { modInverse } from '../../src/crypto/integers.ts';
import { elementBytes } from '../../src/keys/rsa/numbers.ts';
import type { KeyView } from '../../src/node/views/view.ts';
import { samplePrimes } from '../../src/simulation/world/sample-keys.ts';
import type { ServedGroup } from '../support/served-group.ts';
import { Bench } from './holdfast.ts';

const plaintext = Buffer.from([0, 1, 2, 0xff, 0, 0x0a]);

describe('more keys, from the command line', () => {
  const bench = new Bench();
  let group: ServedGroup;
  const operator = (): string => bench.path('A/clients/operator.key');

  /** What `openssl pkeyutl -encrypt` makes of the plaintext with OAEP. */
  const encrypt = (key: string, options: readonly string[] = []): string => {
    writeFileSync(bench.path('plain'), plaintext);
    const args = [
      'pkeyutl',
      '-encrypt',
      '-pubin',
      '-inkey',
      bench.path(`${key}.pem`),
      '-in',
      bench.path('plain'),
    ];
    const padding = ['rsa_padding_mode:oaep', ...options].flatMap((option) => ['-pkeyopt', option]);
    const file = bench.path(`${key}.cipher`);
    execFileSync('openssl', [...args, '-out', file, ...padding]);
    return file;
  };

  beforeAll(async () => {
    await bench.init();
    group = await bench.serve(['b', 'c']);
    const names = ['b', 'c'];
    const results = await bench.runMany([
      ['admit', ...names, '--yes', ...names.map((name) => group.fingerprint(name))],
      ['key', 'create', 'vault', '--use', 'decrypt', '--primes-file', bench.primes()],
      ['key', 'create', 'ca', '--use', 'sign', '--primes-file', bench.primes(2)],
      ['client', 'add', 'operator', '--key', '*', '--may', 'sign,decrypt', '--open'],
    ]);
    for (const { code, stderr } of results) expect(code, stderr).toBe(0);
    for (const key of ['vault', 'ca'])
      writeFileSync(bench.path(`${key}.pem`), await bench.must(['key', 'public', key]));
  });
  afterAll(() => bench.close());

  test('a client may be given all keys, if that is asked for', async () => {
    expect(await bench.must(['client', 'list'])).toMatch(/operator +decrypt\+sign with \* +100\/min/);
  });

  test.each([
    ['SHA-256', [], ['rsa_oaep_md:sha256']],
    [
      'SHA-512 and a label',
      ['--hash', 'sha512', '--label', 'tape 7'],
      ['rsa_oaep_md:sha512', 'rsa_oaep_label:746170652037'],
    ],
    ['a label in hex', ['--label', 'hex:00ff'], ['rsa_oaep_md:sha256', 'rsa_oaep_label:00ff']],
  ])('decrypts what OpenSSL encrypted with %s', async (_, ours, openssl) => {
    const { code, stdout, stderr } = await bench.run([
      'decrypt',
      '--key',
      'vault',
      ...ours,
      encrypt('vault', openssl),
    ]);
    expect(stderr).toContain('decrypted in epoch');
    expect(code).toBe(0);
    expect(stdout.equals(plaintext)).toBe(true);
  });

  test('decrypts into one JSON document with --json', async () => {
    const file = encrypt('vault', ['rsa_oaep_md:sha256']);
    const said = JSON.parse(await bench.must(['decrypt', '--key', 'vault', '--json', file]));
    expect(said).toEqual({ key: 'vault', plaintext: plaintext.toString('base64') });
  });

  test('refuses a wrong label, a wrong hash and a changed ciphertext in the same words, and writes nothing', async () => {
    const file = encrypt('vault', ['rsa_oaep_md:sha256']);
    const changed = readFileSync(file);
    changed[200] = (changed[200] ?? 0) ^ 1;
    writeFileSync(bench.path('changed'), changed);
    for (const args of [['--label', 'x', file], ['--hash', 'sha384', file], [bench.path('changed')]]) {
      const { code, stdout, stderr } = await bench.run(['decrypt', '--key', 'vault', ...args]);
      expect(code).toBe(3);
      expect(stdout).toHaveLength(0);
      expect(stderr).toMatch(
        /holdfast: this was not encrypted to vault: the decrypted block is not an OAEP block for this hash and label; nothing was written\n$/,
      );
    }
  });

  test('refuses the wrong use of a key, both ways', async () => {
    const decrypt = await bench.run(['decrypt', '--key', 'ca', encrypt('ca', ['rsa_oaep_md:sha256'])]);
    expect(decrypt.code).toBe(3);
    expect(decrypt.stderr).toContain('key ca is for sign only');
    const sign = await bench.run(['sign', '--key', 'vault'], { input: 'x' });
    expect(sign.code).toBe(3);
    expect(sign.stderr).toContain('key vault is for decrypt only');
  });

  /** As any program posts JSON to the daemon. */
  const post = async (to: string, body: string) => {
    const dispatcher = new Agent({ connect: { socketPath: bench.path('A/api.sock') } });
    const headers = { 'content-type': 'application/json' };
    const answer = await request(`http://x${to}`, { dispatcher, method: 'POST', body, headers });
    const text = await answer.body.text();
    await dispatcher.destroy();
    return text;
  };

  test('a request to sign that was made apart can be posted by any program, and again for the same answer', async () => {
    const asked = ['client', 'sign-request', '--key', 'ca', '--scheme', 'pss'];
    const body = await bench.must(asked, { input: 'message' });
    const answer = await post('/v1/sign', body);
    expect(await post('/v1/sign', body)).toBe(answer);
    writeFileSync(bench.path('sig'), Buffer.from(JSON.parse(answer).signature, 'base64'));
    const valid = ['verify', '--key', 'ca', '--scheme', 'pss', '--signature', bench.path('sig')];
    expect(await bench.must(valid, { input: 'message' })).toBe('valid\n');
    const altered = JSON.parse(body);
    altered.request.asked.digest = 'ff'.repeat(32);
    expect(JSON.parse(await post('/v1/sign', JSON.stringify(altered)))).toMatchObject({
      ...{ status: 403, code: 'refused' },
      details: { code: 'bad-signature' },
    });
  });

  test('a request is made by ids alone where no daemon is, of a digest as well', async () => {
    const { id } = JSON.parse(await bench.must(['key', 'list', '--json'])).keys.find(
      (key: { name: string }) => key.name === 'ca',
    );
    const { cluster } = JSON.parse(await bench.must(['status', '--json']));
    const digest = '5e'.repeat(32);
    const apart = ['client', 'sign-request', '--home', bench.path('none'), '--client', operator()];
    const ids = ['--key', id, '--cluster', cluster, '--digest', digest];
    const body = await bench.must([...apart, ...ids]);
    expect(JSON.parse(body).request).toMatchObject({
      ...{ operation: 'sign', cluster, key: id, kind: 'rsa' },
      asked: { digest, salt: '' },
    });
    expect(JSON.parse(await post('/v1/sign', body)).signers).toHaveLength(2);
    expect((await bench.run([...apart, ...ids, '--for', '6m'])).stderr).toContain('more than 5 minutes');
    expect((await bench.run([...apart, '--key', 'ca', '--cluster', cluster])).code).toBe(2);
  });

  test('a request to decrypt that was made apart is opened with its one-time key, and with no other', async () => {
    const file = encrypt('vault', ['rsa_oaep_md:sha256']);
    const ask = (secret: string) =>
      bench.must(['client', 'sign-request', '--key', 'vault', '--decrypt', bench.path(secret), file]);
    const answer = await post('/v1/decrypt', await ask('one-time'));
    await ask('another');
    const opened = (secret: string) =>
      bench.run(['client', 'open', '--secret', bench.path(secret)], { input: answer });
    expect((await opened('one-time')).stdout.equals(plaintext)).toBe(true);
    expect(await opened('another')).toMatchObject({ code: 4, stdout: Buffer.alloc(0) });
    expect((await opened('vault.pem')).code).toBe(1);
    const pinned = (pem: string) => {
      const args = ['client', 'open', '--secret', bench.path('one-time'), '--public-key', bench.path(pem)];
      return bench.run(args, { input: answer });
    };
    expect((await pinned('vault.pem')).stdout.equals(plaintext)).toBe(true);
    expect(await pinned('ca.pem')).toMatchObject({ code: 3, stdout: Buffer.alloc(0) });
    const wrong = ['client', 'sign-request', '--key', 'ca', '--decrypt', bench.path('third'), file];
    expect((await bench.run(wrong)).stderr).toContain('key ca is for sign only');
  });

  test('enforces a client’s right to decrypt', async () => {
    await bench.must(['client', 'add', 'reader', '--key', '*', '--may', 'decrypt', '--open']);
    await bench.must(['client', 'add', 'signer', '--key', '*', '--may', 'sign', '--may', 'sign', '--open']);
    expect(await bench.must(['client', 'list'])).toMatch(/reader +decrypt with \*/);
    const file = encrypt('vault', ['rsa_oaep_md:sha256']);
    const by = (name: string) =>
      bench.run(['decrypt', '--key', 'vault', '--client', bench.path(`A/clients/${name}.key`), file]);
    expect((await by('reader')).stdout.equals(plaintext)).toBe(true);
    const refused = await by('signer');
    expect(refused.code).toBe(3);
    expect(refused.stderr).toContain('client signer may not decrypt with key vault');
    expect((await bench.run(['client', 'add', 'x', '--key', '*', '--may', 'all'])).code).toBe(2);
    for (const name of ['reader', 'signer']) await bench.must(['client', 'remove', name]);
  });

  test('takes no other key than the one in --public-key, whatever the daemon says', async () => {
    const file = encrypt('vault', ['rsa_oaep_md:sha256']);
    const by = (pem: string) =>
      bench.run(['decrypt', '--key', 'vault', '--public-key', bench.path(pem), file]);
    expect((await by('vault.pem')).stdout.equals(plaintext)).toBe(true);
    const refused = await by('ca.pem');
    expect(refused).toMatchObject({ code: 3, stdout: Buffer.alloc(0) });
    expect(refused.stderr).toContain('the daemon’s key vault is not the one in');
    expect((await by('primes')).code).toBe(1);
  });

  test.each([
    ['sign', ['sign']],
    ['client sign-request', ['client', 'sign-request']],
  ])('%s signs for no other key than the one in --public-key', async (_, command) => {
    const by = (pem: string) =>
      bench.run([...command, '--key', 'ca', '--public-key', bench.path(pem)], { input: 'message' });
    expect((await by('ca.pem')).code).toBe(0);
    const refused = await by('vault.pem');
    expect(refused).toMatchObject({ code: 3, stdout: Buffer.alloc(0) });
    expect(refused.stderr).toContain('the daemon’s key ca is not the one in');
  });

  test('takes no --public-key for a signature where no daemon says what the key is', async () => {
    const ids = [
      '--key',
      'ab'.repeat(32),
      '--cluster',
      'cd'.repeat(32),
      '--public-key',
      bench.path('ca.pem'),
    ];
    const refused = await bench.run(['client', 'sign-request', ...ids], { input: 'message' });
    expect(refused).toMatchObject({ code: 2, stdout: Buffer.alloc(0) });
    expect(refused.stderr).toContain('nothing to compare with --public-key');
  });

  test('uses no key that the daemon lists under another name than its own', async () => {
    const ca = group.keys().find(({ name }) => name === 'ca') as KeyView;
    const lying = vi.spyOn(group, 'keys').mockReturnValue([{ ...ca, name: 'staging' }]);
    onTestFinished(() => lying.mockRestore());
    for (const command of [['sign'], ['client', 'sign-request']]) {
      const refused = await bench.run([...command, '--key', 'staging'], { input: 'message' });
      expect(refused).toMatchObject({
        code: 3,
        stdout: Buffer.alloc(0),
        stderr: 'holdfast: what the daemon says of key staging does not fit its id; ask another peer\n',
      });
    }
    expect((await bench.run(['key', 'public', 'staging'])).code).toBe(3);
  });

  test('refuses what is no ciphertext before it asks anybody', async () => {
    const { code, stderr } = await bench.run(['decrypt', '--key', 'vault'], { input: 'short' });
    expect(code).toBe(3);
    expect(stderr).toContain('a ciphertext for this key has 256 bytes, and this has 5');
  });

  test('names who is missing with exit code 4 when too few peers answer', async () => {
    await group.silence('b', 'c');
    const { code, stdout, stderr } = await bench.run(['decrypt', '--key', 'vault', encrypt('vault')]);
    await group.wake();
    expect(code).toBe(4);
    expect(stdout).toHaveLength(0);
    expect(stderr).toContain('start them and decrypt again');
  });

  test('asks once more for the partial of a slow peer, and names whose partial was false before', async () => {
    const honest = group.decrypt.bind(group);
    let asked = 0;
    await group.silence('c');
    const decrypting = vi.spyOn(group, 'decrypt').mockImplementation(async (wanted, options) => {
      asked += 1;
      // b lies twice; the third time b is silent, and c has answered in its place.
      if (asked === 3) {
        await group.wake();
        await group.silence('b');
      }
      const answer = await honest(wanted, options);
      const partials = answer.partials.map((given) =>
        given.name === 'b'
          ? { ...given, envelope: given.envelope.with(-1, (given.envelope.at(-1) ?? 0) ^ 1) }
          : given,
      );
      return { ...answer, partials };
    });
    onTestFinished(async () => {
      decrypting.mockRestore();
      await group.wake();
    });
    const file = encrypt('vault', ['rsa_oaep_md:sha256']);
    const { code, stdout, stderr } = await bench.run(['decrypt', '--key', 'vault', file]);
    expect(stderr).toContain('b gave a false partial; look at that machine');
    expect(code).toBe(0);
    expect(stdout.equals(plaintext)).toBe(true);
    expect(asked).toBe(3);
  });

  test('imports an existing key, which signs as its original does, warns and says what to do with the original', async () => {
    const pem = bench.path('original.pem');
    execFileSync('openssl', ['genrsa', '-out', pem, '2048'], { stdio: 'ignore' });
    chmodSync(pem, 0o640);
    const { code, stdout, stderr } = await bench.run(['key', 'import', 'old', '--use', 'sign', '--pem', pem]);
    expect(code).toBe(0);
    expect(stderr).toContain(`warning: others on this machine may read ${pem}; run: chmod 600 ${pem}\n`);
    expect(stderr).toMatch(/warning: the primes of this key are not safe primes.*small order/);
    expect(stdout.toString()).toContain('key old, 2048 bits, shared 2 of 3');
    expect(stdout.toString()).toContain(`the original is still whole in ${pem}`);
    writeFileSync(bench.path('message'), 'x');
    const args = ['dgst', '-sha256', '-sign', pem, bench.path('message')];
    const signed = await bench.run(['sign', '--key', 'old', '--client', operator(), bench.path('message')]);
    expect(signed.stdout.equals(execFileSync('openssl', args))).toBe(true);
  });

  test('imports a key of safe primes without a warning, and reports it as JSON', async () => {
    const { p, q } = samplePrimes(2048, 1);
    const pem = bench.path('safe.pem');
    writeFileSync(pem, pemOfPrimes(p, q), { mode: 0o600 });
    const { code, stdout, stderr } = await bench.run([
      'key',
      'import',
      'safe',
      '--use',
      'decrypt',
      '--pem',
      pem,
      '--json',
    ]);
    expect(stderr).not.toContain('warning');
    expect(code).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({
      name: 'safe',
      safePrimes: true,
      original: 'still whole',
    });
  });

  test('destroys a key only after its name was given again', async () => {
    const asked = await bench.run(['key', 'destroy', 'ca']);
    expect(asked.code).toBe(2);
    expect(asked.stderr).toContain('give --yes ca');
    const wrong = await bench.run(['key', 'destroy', 'ca', '--yes', 'cb']);
    expect(wrong.code).toBe(3);
    expect(wrong.stderr).toContain('nothing was destroyed');
    expect(await bench.must(['key', 'destroy', 'ca', '--yes', 'ca'])).toMatch(
      /^epoch \d+: key ca is destroyed; every share of it is erased\n$/,
    );
    expect(await bench.must(['key', 'list'])).not.toMatch(/^ca /m);
    expect((await bench.run(['sign', '--key', 'ca'], { input: 'x' })).code).toBe(3);
    expect(await bench.must(['key', 'destroy', 'ca', '--yes', 'ca'])).toContain('; this was done already');
    expect((await bench.run(['key', 'destroy', 'cz', '--yes', 'cz'])).stderr).toContain(
      'there is no key named cz',
    );
  });

  describe('a private key in a PEM file', () => {
    const write = (name: string, text: string | Buffer): string => {
      writeFileSync(bench.path(name), text, { mode: 0o600 });
      return bench.path(name);
    };
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const secret = 'rosebud';
    const n = (jwk = privateKey.export({ format: 'jwk' })) =>
      BigInt(`0x${Buffer.from(jwk.n ?? '', 'base64url').toString('hex')}`);

    test.each([
      ['PKCS#1', { type: 'pkcs1' }],
      ['PKCS#8', { type: 'pkcs8' }],
      ['encrypted PKCS#1', { type: 'pkcs1', cipher: 'aes-256-cbc', passphrase: secret }],
      ['encrypted PKCS#8', { type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: secret }],
    ] as const)('is read from %s', async (_, form) => {
      const pem = write('some.pem', privateKey.export({ format: 'pem', ...form }) as string);
      const passphrase = 'passphrase' in form ? write('pass', `${secret}\nmore\n`) : undefined;
      const { primes, exponent } = await readPrivateKey(pem, passphrase);
      expect(primes.p * primes.q).toBe(n());
      expect(exponent).toBe(65537n);
    });

    test('is refused with a wrong passphrase, and without one where nobody can type it', async () => {
      const form = { format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase: secret } as const;
      const pem = write('sealed.pem', privateKey.export(form));
      await expect(readPrivateKey(pem, write('pass', 'wrong'))).rejects.toThrow(/passphrase does not open/);
      const { code, stderr } = await bench.run(['key', 'import', 'x', '--use', 'sign', '--pem', pem]);
      expect(code).toBe(2);
      expect(stderr).toContain('--pem-passphrase-file');
    });

    test.each([
      ['of 1024 bits', () => generateKeyPairSync('rsa', { modulusLength: 1024 }), /has 1024 bits/],
      ['that is no RSA key', () => generateKeyPairSync('ec', { namedCurve: 'P-256' }), /is no RSA key/],
    ] as const)('is refused when it is one %s', async (_, make, why) => {
      const pem = write('bad.pem', make().privateKey.export({ format: 'pem', type: 'pkcs8' }) as string);
      await expect(readPrivateKey(pem, undefined)).rejects.toThrow(why);
    });

    test('is refused with an exponent that is not above the highest index', async () => {
      const { privateKey: small } = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 });
      const pem = write('e3.pem', small.export({ format: 'pem', type: 'pkcs8' }) as string);
      const { code, stderr } = await bench.run(['key', 'import', 'e3', '--use', 'sign', '--pem', pem]);
      expect(code).toBe(3);
      expect(stderr).toContain('the public exponent 3 of this key must be a prime above 20');
    });

    test('is refused when it has three primes', async () => {
      const pem = bench.path('three.pem');
      execFileSync('openssl', ['genrsa', '-primes', '3', '-out', pem, '2048'], { stdio: 'ignore' });
      await expect(readPrivateKey(pem, undefined)).rejects.toThrow(/two primes|is no RSA key|cannot be read/);
    });

    test('is not found in a public key or in nonsense', async () => {
      await expect(readPrivateKey(bench.path('vault.pem'), undefined)).rejects.toThrow(
        /holds no private key/,
      );
      await expect(readPrivateKey(write('nonsense', 'x'), undefined)).rejects.toThrow(/holds no private key/);
    });
  });
});

/** A PKCS#1 PEM of two given primes. */
function pemOfPrimes(p: bigint, q: bigint): string {
  const e = 65537n;
  const d = modInverse(e, (p - 1n) * (q - 1n));
  const members = { n: p * q, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: modInverse(q, p) };
  const texts = Object.entries(members).map(([name, n]) => [
    name,
    Buffer.from(elementBytes(n)).toString('base64url'),
  ]);
  const key = createPrivateKey({ key: { kty: 'RSA', ...Object.fromEntries(texts) }, format: 'jwk' });
  return key.export({ type: 'pkcs1', format: 'pem' }) as string;
}
