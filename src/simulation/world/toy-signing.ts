/**
 * Signing by keys of the toy kind, in two rounds (Komlo, Goldberg 2020): Schnorr signatures (R, z), as the
 * group's element and the number that answers the challenge.
 */
import { z } from 'zod';
import { base64Bytes } from '../../crypto/bytes-as-text.ts';
import { EncodingError } from '../../crypto/errors.ts';
import { expandedHashOf, hashOf } from '../../crypto/hash.ts';
import { bytesToInteger, mod, modInverse } from '../../crypto/integers.ts';
import type {
  Asked,
  GivenPartial,
  NonceCommitments,
  Operation,
  UseStatement,
} from '../../keys/kind/operation.ts';
import {
  bytes,
  elementIn,
  elementOf,
  encodeInteger,
  generator,
  hashed,
  join,
  numberOf,
  p,
  power,
  q,
  verificationOf,
} from './toy-group.ts';

const toyAsked = z.strictObject({ message: base64Bytes(32 * 1024) });
const messageIn = (asked: Asked): Uint8Array => (asked as z.output<typeof toyAsked>).message;

const challengeFor = (announcement: bigint, publicBytes: Uint8Array, asked: Asked): bigint =>
  hashed(encodeInteger(announcement), publicBytes, messageIn(asked));

/** λ_index at 0 among these members. */
function lagrange(index: number, members: Iterable<number>): bigint {
  let [over, under] = [1n, 1n];
  for (const other of members)
    if (other !== index) {
      over = mod(over * BigInt(other), q);
      under = mod(under * BigInt(other - index), q);
    }
  return mod(over * modInverse(under, q), q);
}

/** Two elements, or two numbers, one after the other. */
const halves = (pair: Uint8Array): [Uint8Array, Uint8Array] => [
  pair.subarray(0, bytes),
  pair.subarray(bytes),
];

/** What all who answer agree on: binding factors, announcement R and challenge. */
function agreed({ setting, asked }: UseStatement, commitments: NonceCommitments) {
  const list = join([...commitments].flatMap(([index, pair]) => [encodeInteger(BigInt(index)), pair]));
  const bindings = new Map(
    [...commitments.keys()].map((index) => [
      index,
      hashed(encodeInteger(BigInt(index)), messageIn(asked), setting.public, list),
    ]),
  );
  const shares = new Map(
    [...commitments].map(([index, pair]) => {
      const [hiding, binding] = halves(pair).map(elementOf) as [bigint, bigint];
      return [index, (hiding * power(binding, bindings.get(index) as bigint)) % p];
    }),
  );
  const announcement = [...shares.values()].reduce((product, share) => (product * share) % p, 1n);
  return { bindings, shares, announcement, challenge: challengeFor(announcement, setting.public, asked) };
}

const isNonceCommitment = (pair: Uint8Array): boolean =>
  pair.length === 2 * bytes && halves(pair).every((half) => ![null, 1n].includes(elementIn(half)));

export const toySign: Operation = {
  asked: toyAsked,
  schemes: [],
  schemeOf: () => null,
  digestOf: (asked) => ({ hash: null, digest: hashOf('toy/message', messageIn(asked)) }),
  checkForm() {},
  check() {},

  nonces: {
    draw({ share, context, randomBytes }) {
      const fresh = expandedHashOf('toy/nonces', 4 * bytes, randomBytes(bytes), share, context);
      const nonces = [fresh.subarray(0, 2 * bytes), fresh.subarray(2 * bytes)].map((half) =>
        mod(bytesToInteger(half), q),
      );
      return {
        nonces: join(nonces.map(encodeInteger)),
        commitment: join(nonces.map((nonce) => encodeInteger(power(generator, nonce)))),
      };
    },
    isCommitment: (_, commitment) => isNonceCommitment(commitment),
  },

  partial({ statement, share, index, session }) {
    if (session === null || ![...session.commitments.values()].every(isNonceCommitment))
      throw new EncodingError('no session of two rounds');
    const [hiding, binding] = halves(session.nonces).map(numberOf) as [bigint, bigint];
    const { bindings, challenge } = agreed(statement, session.commitments);
    const weight = challenge * lagrange(index, session.commitments.keys());
    const response = hiding + binding * (bindings.get(index) as bigint) + weight * numberOf(share);
    return { partial: encodeInteger(mod(response, q)), proof: null };
  },

  combine({ statement, commitments, partials, session }) {
    const none = { result: null, suspects: [], refuted: [] };
    if (session === null || session.size < statement.setting.threshold || partials.size < session.size)
      return { ...none, culprits: [] };
    const { shares, announcement, challenge } = agreed(statement, session);
    const key = elementOf(statement.setting.public);
    const isTrue = (index: number, { partial }: GivenPartial): boolean => {
      const response = bytesToInteger(partial);
      const weight = challenge * lagrange(index, session.keys());
      const verification = verificationOf(key, commitments, index);
      const expected = ((shares.get(index) as bigint) * power(verification, weight)) % p;
      return partial.length === bytes && response < q && power(generator, response) === expected;
    };
    const culprits = [...partials].flatMap(([index, given]) => (isTrue(index, given) ? [] : [index]));
    if (culprits.length > 0) return { ...none, culprits };
    const sum = [...partials.values()].reduce((total, { partial }) => total + bytesToInteger(partial), 0n);
    const result = join([encodeInteger(announcement), encodeInteger(mod(sum, q))]);
    return { ...none, result, culprits };
  },

  verify({ publicBytes, asked, result }) {
    if (result.length !== 2 * bytes) return false;
    const [announcement, response] = halves(result).map(bytesToInteger) as [bigint, bigint];
    const challenge = challengeFor(announcement, publicBytes, asked);
    return (
      elementIn(encodeInteger(announcement)) !== null &&
      power(generator, response) === (announcement * power(bytesToInteger(publicBytes), challenge)) % p
    );
  },
};
