/** Every peer decides for itself whether a request to use a key may be served; each rule has its own refusal. */
import { describe, expect, test } from 'vitest';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { limits } from '../../src/protocol/limits.ts';
import {
  checkUse,
  signUse,
  type UseRequestBody,
  useRequestBodySchema,
} from '../../src/protocol/use-request.ts';
import type { Client, KeyRecord, Value } from '../../src/protocol/value.ts';
import { seededBytes } from '../support/virtual-time.ts';
import { flipped, paperCluster, refusalOf } from './support.ts';

const random = seededBytes('use requests');
const seed = random(32);
const nowMs = 1_800_000_000_000;
const number = new Uint8Array([5]);
const keyNamed = (name: string, use: 'sign' | 'decrypt' = 'sign'): KeyRecord => ({
  id: random(32),
  name,
  use,
  modulus: number,
  exponent: number,
  base: number,
  constant: number,
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
const body: UseRequestBody = {
  cluster: paper.clusterId,
  client: ed25519FromSeed(seed).publicKey,
  key: keys[0].id,
  operation: 'sign',
  scheme: 'pss',
  hash: 'sha256',
  digest: random(32),
  salt: random(32),
  nonce: random(16),
  expiresAtMs: nowMs + 60_000,
};
const refusal = (change: Partial<UseRequestBody> = {}, value = valueWith([client()]), signer = seed) =>
  refusalOf(() => checkUse(value, paper.clusterId, signUse(signer, { ...body, ...change }), nowMs));

test('a request within its client’s rights is served', () => {
  const served = checkUse(valueWith([client()]), paper.clusterId, signUse(seed, body), nowMs);
  expect(served.key.name).toBe('ca');
  expect(served.client.name).toBe('deploy');
  expect(refusal({ scheme: 'pkcs1', salt: new Uint8Array() })).toBeNull();
  expect(refusal({ hash: 'sha512', digest: random(64), salt: random(64) })).toBeNull();
});

test('a right for every key is written as a star', () => {
  const value = valueWith([client({ rights: [{ key: '*', operations: ['sign'] }] })]);
  expect(refusal({ key: keys[1].id }, value)).toBeNull();
  expect(refusal({ key: keys[2].id }, value)).toBe('wrong-use');
});

describe('refused is', () => {
  test.each<[string, string, Partial<UseRequestBody>]>([
    ['another cluster', 'wrong-cluster', { cluster: flipped(paper.clusterId) }],
    ['a client that is not listed', 'unknown-client', { client: random(32) }],
    ['a key that does not exist', 'unknown-key', { key: random(32) }],
    ['a key made for decryption', 'wrong-use', { key: keys[2].id }],
    ['a key outside the client’s rights', 'not-allowed', { key: keys[1].id }],
    ['a digest of another hash', 'wrong-digest', { hash: 'sha384' }],
    ['a salt of another length', 'wrong-digest', { salt: random(20) }],
    ['a salt where there is none', 'wrong-digest', { scheme: 'pkcs1' }],
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
    const changes: Array<Partial<UseRequestBody>> = [
      { key: keys[1].id },
      { scheme: 'pkcs1' },
      { hash: 'sha384' },
      { digest: flipped(body.digest) },
      { salt: flipped(body.salt) },
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
});
