import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { EncodingError } from '../../src/crypto/errors.ts';
import { integerToBytes } from '../../src/crypto/integers.ts';
import { encodePkcs1, encodePss } from '../../src/keys/rsa/encoding.ts';
import {
  publicKeyFromPem,
  publicKeyJwk,
  publicKeyPem,
  publicKeySsh,
  verifySignature,
} from '../../src/keys/rsa/public-forms.ts';
import { combine, partial } from '../../src/keys/rsa/signing.ts';
import {
  randomCoefficients,
  refreshed,
  sampleCreation,
  sharingOf,
} from '../../src/simulation/world/sample-keys.ts';
import { seededBytes } from '../../src/simulation/world/virtual-time.ts';

/** Any will do where nobody measures. */
const blinding = new Uint8Array(16);

const parameters = { membersMax: 20, threshold: 3, modulusBits: 2048 } as const;
const random = seededBytes('openssl');
const creation = sampleCreation(parameters, 'openssl');
const key = creation.public;
const data = new TextEncoder().encode('signed by peers, after a refresh');
const digest = createHash('sha256').update(data).digest();
const sharing = refreshed(sharingOf(creation, parameters, [1, 3, 20]), [
  randomCoefficients(parameters, random),
  randomCoefficients(parameters, random),
]);

const signedBy = (block: bigint): Uint8Array => {
  const partials = new Map(
    [...sharing.shares].map(([index, share]) => [
      index,
      partial({ key, parameters, share, block, blinding }),
    ]),
  );
  const signature = combine({ key, parameters, block, partials });
  expect(signature).not.toBeNull();
  return integerToBytes(signature!, 256);
};
const signatures = {
  pkcs1: signedBy(encodePkcs1('sha256', digest, 2048)),
  pss: signedBy(encodePss('sha256', digest, random(32), 2048)),
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-openssl-'));
  writeFileSync(join(folder, 'key.pem'), publicKeyPem(key));
  writeFileSync(join(folder, 'data'), data);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('other programs accept what the peers sign', () => {
  test.each([
    ['pkcs1', []],
    ['pss', ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32']],
  ] as const)('openssl dgst -verify accepts a %s signature', (scheme, options) => {
    writeFileSync(join(folder, 'sig'), signatures[scheme]);
    const command = ['dgst', '-sha256', '-verify', 'key.pem', ...options, '-signature', 'sig', 'data'];
    expect(execFileSync('openssl', command, { cwd: folder }).toString()).toBe('Verified OK\n');
  });

  test('verifySignature agrees, from data and from the digest, and refuses anything altered', () => {
    for (const scheme of ['pkcs1', 'pss'] as const) {
      const signature = signatures[scheme];
      const altered = signature.map((byte, i) => (i === 9 ? byte ^ 1 : byte));
      for (const signed of [{ data }, { digest }]) {
        const check = { key, scheme, hash: 'sha256', signed, signature } as const;
        expect(verifySignature(check)).toBe(true);
        for (const bad of [altered, signature.subarray(1), new Uint8Array(0), new Uint8Array(256).fill(255)])
          expect(verifySignature({ ...check, signature: bad })).toBe(false);
        expect(verifySignature({ ...check, scheme: scheme === 'pss' ? 'pkcs1' : 'pss' })).toBe(false);
        const other = 'data' in signed ? { data: digest } : { digest: createHash('sha256').digest() };
        expect(verifySignature({ ...check, signed: other })).toBe(false);
      }
    }
  });

  test('the public key is the same in PEM, JWK and an OpenSSH line', () => {
    const { modulus, exponent } = key;
    expect(publicKeyFromPem(publicKeyPem(key))).toEqual({ modulus, exponent });
    expect(publicKeyJwk(key)).toMatchObject({ kty: 'RSA', e: 'AQAB' });
    expect(() => publicKeyFromPem('nonsense')).toThrow(EncodingError);
    const [type, blob, comment] = publicKeySsh(key, 'home-ca').split(' ');
    expect([type, comment]).toEqual(['ssh-rsa', 'home-ca']);
    const expected = Buffer.concat([
      Buffer.from('\0\0\0\x07ssh-rsa\0\0\0\x03\x01\0\x01\0\0\x01\x01\0', 'latin1'),
      integerToBytes(modulus, 256),
    ]);
    expect(Buffer.from(blob!, 'base64').equals(expected)).toBe(true);
  });
});
