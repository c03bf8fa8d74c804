/**
 * Every peer decides for itself whether a request to use a key may be served; each rule has its own refusal.
 */

import { describe, expect, test } from 'vitest';
import { integerToBytes } from '../../src/crypto/integers.ts';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import type { Asked } from '../../src/keys/kind/operation.ts';
import { trialBlock } from '../../src/keys/rsa/encoding.ts';
import { encodePublic } from '../../src/keys/rsa/numbers.ts';
import { limits } from '../../src/protocol/records/limits.ts';
import {
  checkUse,
  type DecryptBody,
  type SignBody,
  signUse,
  useRequestBodySchema,
} from '../../src/protocol/records/use-request.ts';
import {
  ancestorsAfter,
  type Client,
  hashOfValue,
  type KeyRecord,
  type Value,
} from '../../src/protocol/records/value.ts';
import { paperCluster } from '../../src/simulation/world/paper.ts';
import { samplePrimes } from '../../src/simulation/world/sample-keys.ts';
import { seededBytes } from '../../src/simulation/world/virtual-time.ts';
import { flipped, refusalOf } from './support.ts';

const random = seededBytes('use requests');
const seed = random(32);
const nowMs = 1_800_000_000_000;
const keyNamed = (name: string, use: 'sign' | 'decrypt' = 'sign'): KeyRecord => ({
  id: random(32),
  name,
  kind: 'rsa',
  use,
  public: encodePublic({ modulus: 5n, exponent: 5n, base: 5n, constant: 5n }),
  creation: null,
});
const keys = [keyNamed('ca'), keyNamed('other'), keyNamed('vault', 'decrypt')] as [
  KeyRecord,
  KeyRecord,
  KeyRecord,
];
const client = (change: Partial<Client> = {}): Client => ({
  name: 'deploy',
  publicKey: ed25519FromSeed(seed).publicKey,
  rights: [
    { key: 'ca', operations: ['sign'] },
    { key: 'vault', operations: ['sign'] },
  ],
  ratePerMinute: 10,
  ...change,
});
const paper = paperCluster();
const valueWith = (clients: Client[]): Value => ({ ...paper.founding.value, keys, clients });
const body: SignBody = {
  v: 1,
  cluster: paper.clusterId,
  client: ed25519FromSeed(seed).publicKey,
  key: keys[0].id,
  operation: 'sign',
  kind: 'rsa',
  asked: { scheme: 'pss', hash: 'sha256', digest: random(32), salt: random(32) },
  nonce: random(16),
  expiresAtMs: nowMs + 60_000,
};
/** The body, asking for something else. */
const asking = (change: Asked): Partial<SignBody> => ({ asked: { ...body.asked, ...change } });
const refusal = (change: Partial<SignBody> = {}, value = valueWith([client()]), signer = seed) =>
  refusalOf(() => checkUse(value, paper.clusterId, signUse<SignBody>(signer, { ...body, ...change }), nowMs));

test('a request within its client’s rights is served', () => {
  const served = checkUse(valueWith([client()]), paper.clusterId, signUse(seed, body), nowMs);
  expect(served.key.name).toBe('ca');
  expect(served.client.name).toBe('deploy');
  expect(refusal(asking({ scheme: 'pkcs1', salt: new Uint8Array() }))).toBeNull();
  expect(refusal(asking({ hash: 'sha512', digest: random(64), salt: random(64) }))).toBeNull();
});

test('a right for every key is written as a star', () => {
  const value = valueWith([client({ rights: [{ key: '*', operations: ['sign'] }] })]);
  expect(refusal({ key: keys[1].id }, value)).toBeNull();
  expect(refusal({ key: keys[2].id }, value)).toBe('wrong-use');
});

describe('refused is', () => {
  test.each<[string, string, Partial<SignBody>]>([
    ['another cluster', 'wrong-cluster', { cluster: flipped(paper.clusterId) }],
    ['a client that is not listed', 'unknown-client', { client: random(32) }],
    ['a key that does not exist', 'unknown-key', { key: random(32) }],
    ['a key made for decryption', 'wrong-use', { key: keys[2].id }],
    ['a key outside the client’s rights', 'not-allowed', { key: keys[1].id }],
    ['a digest of another hash', 'wrong-digest', asking({ hash: 'sha384' })],
    ['a salt of another length', 'wrong-scheme', asking({ salt: random(20) })],
    ['a salt where there is none', 'wrong-scheme', asking({ scheme: 'pkcs1' })],
    ['an expired request', 'expired', { expiresAtMs: nowMs - limits.clockSkewMs - 1 }],
    [
      'one that lives too long',
      'clock',
      { expiresAtMs: nowMs + limits.useRequestLifetimeMs + limits.clockSkewMs + 1 },
    ],
  ])('%s: %s', (_, code, change) => expect(refusal(change)).toBe(code));

  test('a request that somebody else signed, or that was changed', () => {
    expect(refusal({}, valueWith([client()]), random(32))).toBe('bad-signature');
    const signed = signUse(seed, body);
    const changes: Partial<SignBody>[] = [
      { key: keys[1].id },
      asking({ scheme: 'pkcs1' }),
      asking({ hash: 'sha384' }),
      asking({ digest: random(32) }),
      asking({ salt: random(32) }),
      { kind: 'none' },
      { nonce: flipped(body.nonce) },
      { expiresAtMs: body.expiresAtMs + 1 },
    ];
    for (const change of changes)
      expect(
        refusalOf(() =>
          checkUse(
            valueWith([client()]),
            paper.clusterId,
            { ...signed, body: { ...body, ...change } },
            nowMs,
          ),
        ),
        Object.keys(change).join(),
      ).toBe('bad-signature');
  });

  test('a scheme outside the client’s rights, for that key only', () => {
    const rights: Client['rights'] = [
      { key: 'ca', operations: ['sign'], schemes: ['pss'] },
      { key: 'other', operations: ['sign'] },
    ];
    const value = valueWith([client({ rights })]);
    const pkcs1 = asking({ scheme: 'pkcs1', salt: new Uint8Array() });
    expect(refusal({}, value)).toBeNull();
    expect(refusal(pkcs1, value)).toBe('wrong-scheme');
    expect(refusal({ key: keys[1].id, ...pkcs1 }, value)).toBeNull();
  });

  test('a client without rights, or removed', () => {
    expect(refusal({}, valueWith([client({ rights: [] })]))).toBe('not-allowed');
    expect(refusal({}, valueWith([client({ rights: [{ key: 'ca', operations: ['decrypt'] }] })]))).toBe(
      'not-allowed',
    );
    expect(refusal({}, valueWith([]))).toBe('unknown-client');
  });
});

test('clocks may differ by a minute', () => {
  expect(refusal({ expiresAtMs: nowMs - limits.clockSkewMs })).toBeNull();
  expect(refusal({ expiresAtMs: nowMs + limits.useRequestLifetimeMs + limits.clockSkewMs })).toBeNull();
});

test('an operation that no peer knows is not even a request', () => {
  expect(useRequestBodySchema.safeParse({ ...body, operation: 'raw' }).success).toBe(false);
  expect(useRequestBodySchema.safeParse({ ...body, more: 1 }).success).toBe(false);
  for (const change of [{ more: 'x' }, { hash: 'md5' }, { digest: 'text' }, { salt: random(65) }])
    expect(useRequestBodySchema.safeParse({ ...body, ...asking(change) }).success).toBe(false);
  expect(useRequestBodySchema.safeParse({ ...body, asked: [] }).success).toBe(false);
});

describe('a decryption', () => {
  const { p, q } = samplePrimes(512);
  const modulus = p * q;
  const bytes = (n: bigint): Uint8Array => integerToBytes(n, 64);
  const vault: KeyRecord = {
    ...keys[2],
    public: encodePublic({ modulus, exponent: 5n, base: 5n, constant: 5n }),
  };
  const rights: Client['rights'] = [{ key: '*', operations: ['decrypt'] }];
  const value: Value = { ...valueWith([client({ rights })]), keys: [keys[0], vault] };
  const { cluster, client: publicKey, nonce, expiresAtMs } = body;
  const decrypt: DecryptBody = {
    v: 1,
    operation: 'decrypt',
    ...{ cluster, client: publicKey, nonce, expiresAtMs },
    key: vault.id,
    kind: 'rsa',
    asked: { ciphertext: bytes(modulus / 3n) },
    sealingKey: random(32),
  };
  const refused = (change: Partial<DecryptBody> = {}, listed = value) =>
    refusalOf(() =>
      checkUse(listed, paper.clusterId, signUse<DecryptBody>(seed, { ...decrypt, ...change }), nowMs),
    );

  test('with a key made for it, by a client that may, is served', () => {
    expect(refused()).toBeNull();
    expect(useRequestBodySchema.safeParse(decrypt).success).toBe(true);
  });

  test('with a key made to sign is refused, and a signature with its own key too', () => {
    expect(refused({ key: keys[0].id })).toBe('wrong-use');
    const all = client({ rights: [{ key: '*', operations: ['sign', 'decrypt'] }] });
    expect(refusal({ key: vault.id }, { ...value, clients: [all] })).toBe('wrong-use');
  });

  test('by a client that may only sign is refused', () => {
    const signer = client({ rights: [{ key: '*', operations: ['sign'] }] });
    expect(refused({}, { ...value, clients: [signer] })).toBe('not-allowed');
  });

  test.each<[string, Uint8Array]>([
    ['shorter than the modulus', bytes(5n).subarray(1)],
    ['longer than the modulus', integerToBytes(5n, 65)],
    ['empty', new Uint8Array()],
    ['zero', bytes(0n)],
    ['the modulus itself', bytes(modulus)],
    ['over the modulus', bytes(modulus + 5n)],
    ['a multiple of a prime', bytes(5n * p)],
  ])('of a ciphertext that is %s is refused', (_, ciphertext) =>
    expect(refused({ asked: { ciphertext } })).toBe('wrong-ciphertext'),
  );

  test('for a one-time key of small order, to which nothing can be sealed, is refused', () => {
    for (const first of [0, 1]) {
      const sealingKey = new Uint8Array(32);
      sealingKey[0] = first;
      expect(refused({ sealingKey })).toBe('weak-sealing-key');
    }
  });

  test('of the block that retires the old shares is refused, also as its negative, also after the next change', () => {
    const block = trialBlock(hashOfValue(value), vault.id, modulus);
    expect(refused({ asked: { ciphertext: bytes(block) } })).toBe('trial-block');
    expect(refused({ asked: { ciphertext: bytes(modulus - block) } })).toBe('trial-block');
    const next: Value = { ...value, epoch: value.epoch + 1, ancestors: ancestorsAfter(value) };
    const asked = { ciphertext: bytes(trialBlock(hashOfValue(next), vault.id, modulus)) };
    expect(refused({ asked }, next)).toBe('trial-block');
  });

  test('that was changed after it was signed is refused', () => {
    const { signature } = signUse(seed, decrypt);
    for (const change of [{ asked: { ciphertext: bytes(7n) } }, { sealingKey: random(32) }])
      expect(
        refusalOf(() =>
          checkUse(value, paper.clusterId, { body: { ...decrypt, ...change }, signature }, nowMs),
        ),
      ).toBe('bad-signature');
  });
});
