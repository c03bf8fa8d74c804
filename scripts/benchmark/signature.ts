/** One signature: each step beside the exponentiations in it, and beside the whole key on one machine. */
import { constants, createHash, privateEncrypt } from 'node:crypto';
import { bitLength, integerToBytes, modInverse } from '../../src/crypto/integers.ts';
import { creationShare } from '../../src/keys/rsa/creation.ts';
import { encodePkcs1 } from '../../src/keys/rsa/encoding.ts';
import { modPow } from '../../src/keys/rsa/engine.ts';
import { verifySignature } from '../../src/keys/rsa/public-forms.ts';
import { delta, lagrangeAt } from '../../src/keys/rsa/sharing.ts';
import { combine, partial } from '../../src/keys/rsa/signing.ts';
import { ms, race, table, times } from './measure.ts';
import { type Bits, parametersOf, sharedKey, wholeKey } from './sample.ts';

/** A daemon uses secret random bytes here. They take the same time. */
const blinding = new Uint8Array(16);

export function benchSignature(bits: Bits, threshold: number): void {
  const parameters = parametersOf(bits, threshold);
  const creation = sharedKey(bits, threshold);
  const key = creation.public;
  const digest = new Uint8Array(createHash('sha256').update('a message').digest());
  const block = encodePkcs1('sha256', digest, bits);
  const indices = Array.from({ length: threshold }, (_, at) => at + 1);
  const share = creationShare(creation, 1);
  const partials = new Map(
    indices.map((i) => [i, partial({ key, parameters, share: creationShare(creation, i), block, blinding })]),
  );
  const y = combine({ key, parameters, block, partials });
  if (y === null) throw new Error('the sample key does not sign');
  const signature = integerToBytes(y, bits / 8);
  const exponent = key.modulus - 2n;
  const raw = { key: wholeKey(bits), padding: constants.RSA_NO_PADDING };
  const found = race(30, {
    exponentiation: () => modPow(block, exponent, key.modulus),
    partial: () => partial({ key, parameters, share, block, blinding }),
    combine: () => combine({ key, parameters, block, partials }),
    verify: () => verifySignature({ key, scheme: 'pkcs1', hash: 'sha256', signed: { digest }, signature }),
    whole: () => privateEncrypt(raw, signature),
  });

  // The exponents of protocol §2 "Use". partial: 2Δ·s. combine: 2λ_i·a, b, and e in the check.
  const factor = delta(parameters.membersMax);
  const cube = 4n * factor ** 3n;
  const a = modInverse(cube, key.exponent);
  const lambdas = [...lagrangeAt(indices, 0, parameters.membersMax).values()];
  const combineExponents = [
    ...lambdas.map((lambda) => 2n * lambda * a),
    (1n - a * cube) / key.exponent,
    key.exponent,
  ];
  const bitsOf = (exponents: readonly bigint[]): number =>
    exponents.reduce((sum, n) => sum + bitLength(n < 0n ? -n : n), 0);
  const count = {
    partial: bitsOf([2n * factor * share]) / bits,
    combine: bitsOf(combineExponents) / bits,
    verify: bitsOf([key.exponent]) / bits,
  };
  const row = (name: string, expected: number, value: number): string[] => [
    name,
    expected.toFixed(2),
    ms(value),
    (value / found.exponentiation).toFixed(2),
    times(value / found.whole),
  ];
  const steps = ['partial', 'combine', 'verify'] as const;
  const sum = (values: Record<(typeof steps)[number], number>): number =>
    steps.reduce((total, step) => total + values[step], 0);
  table(
    `One RSA-${bits} signature that needs ${threshold} peers; an exponentiation has a ${bits}-bit exponent`,
    ['', 'exponentiations in it', 'ms', 'measured as exponentiations', 'against OpenSSL with the whole key'],
    [
      row('partial (each peer, at the same time)', count.partial, found.partial),
      row(`combine ${threshold} partials, check y^e = x`, count.combine, found.combine),
      row('verify (the client)', count.verify, found.verify),
      row('all, one after the other', sum(count), sum(found)),
    ],
  );
}
