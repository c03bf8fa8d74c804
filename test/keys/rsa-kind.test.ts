/** Threshold RSA keeps to what a kind of key promises. */
import { describe, expect, test } from 'vitest';
import { KeyError } from '../../src/crypto/errors.ts';
import { kindNamed, kindNames } from '../../src/keys/kinds.ts';
import { dealtKeyOf, rsa } from '../../src/keys/rsa/kind.ts';
import { encodePublic } from '../../src/keys/rsa/numbers.ts';
import { sampleCreation, samplePrimes } from '../../src/simulation/world/sample-keys.ts';
import { describeKind } from './kind-contract.ts';

const parameters = { membersMax: 8, threshold: 3, modulusBits: 512 } as const;
const creation = sampleCreation(parameters);
const dealt = dealtKeyOf(creation);
const { p, q } = samplePrimes(512, 2);

const ciphertext = (base: number) => ({
  ciphertext: Buffer.from([...new Uint8Array(63), base]).toString('base64'),
});

describeKind({
  kind: rsa,
  membersMax: parameters.membersMax,
  threshold: parameters.threshold,
  dealt,
  otherPublic: encodePublic({ ...creation.public, modulus: p * q }),
  asked: {
    sign: [
      { scheme: 'pkcs1', hash: 'sha256', digest: '5e'.repeat(32), salt: '' },
      { scheme: 'pkcs1', hash: 'sha256', digest: '5f'.repeat(32), salt: '' },
    ],
    decrypt: [ciphertext(3), ciphertext(5)],
  },
});

describe('the kinds', () => {
  test('are known by their names', () => {
    expect(kindNames()).toEqual(['rsa']);
    expect(kindNamed('rsa')).toBe(rsa);
  });
  test('and one that is not says so, with those that are', () => {
    expect(() => kindNamed('ed25519')).toThrow(KeyError);
    expect(() => kindNamed('ed25519')).toThrow('not known to this version of Holdfast, which knows rsa');
  });
});
