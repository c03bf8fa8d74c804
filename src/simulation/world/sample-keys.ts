/**
 * Shared RSA keys for tests. They come from ready-made safe primes and deterministic bytes. Naive arithmetic
 * stands beside them, to compare with.
 */
import { createKeyFromPrimes, creationShare, type KeyCreation } from '../../keys/rsa/creation.ts';
import {
  applyDealings,
  coefficientsFromBytes,
  combineCommitments,
  deal,
  subShare,
} from '../../keys/rsa/dealing.ts';
import {
  coefficientBytes,
  coefficientCount,
  type KeyPublic,
  type SharingParameters,
} from '../../keys/rsa/sharing.ts';
import primes from './safe-primes.json' with { type: 'json' };
import { seededBytes } from './virtual-time.ts';

/** A key that is shared among some members, with their shares by index. */
export interface Sharing {
  key: KeyPublic;
  parameters: SharingParameters;
  commitments: bigint[];
  shares: Map<number, bigint>;
}

/**
 * Two neighbours of the ready-made safe primes, in hex, each with half of `modulusBits`. `first` is the place of `p`;
 * the list is a ring, so the keys of 0 and 2 have no prime in common.
 */
export const readyPrimes = (modulusBits: 512 | 2048 | 3072, first = 0): { p: string; q: string } => {
  const list = primes[`${modulusBits / 2}` as '256' | '1024' | '1536'];
  const prime = (i: number): string => list[i % list.length] as string;
  return { p: prime(first), q: prime(first + 1) };
};

/** The same as numbers. */
export const samplePrimes = (
  modulusBits: Parameters<typeof readyPrimes>[0],
  first = 0,
): { p: bigint; q: bigint } => {
  const { p, q } = readyPrimes(modulusBits, first);
  return { p: BigInt(`0x${p}`), q: BigInt(`0x${q}`) };
};

/** A key creation from sample primes. */
export const sampleCreation = (
  parameters: SharingParameters & { modulusBits: 512 | 2048 | 3072 },
  seed = 'sample',
): KeyCreation =>
  createKeyFromPrimes({
    ...samplePrimes(parameters.modulusBits),
    e: 65537n,
    parameters,
    randomBytes: seededBytes(seed),
  });

/** The sharing of a created key among these members. */
export const sharingOf = (
  creation: KeyCreation,
  parameters: SharingParameters,
  members: readonly number[],
): Sharing => ({
  key: creation.public,
  parameters,
  commitments: [...creation.commitments],
  shares: new Map(members.map((i) => [i, creationShare(creation, i)])),
});

/** The coefficients of one dealing. */
export const randomCoefficients = (
  parameters: SharingParameters,
  random: (length: number) => Uint8Array,
): bigint[] =>
  coefficientsFromBytes(random(coefficientCount(parameters) * coefficientBytes(parameters)), parameters);

/** The sharing after one epoch change in which these dealings (root 0) are accepted. */
export const refreshed = (sharing: Sharing, dealings: readonly bigint[][]): Sharing => {
  const { key, parameters } = sharing;
  const lists = dealings.map((coefficients) => deal({ key, parameters, coefficients }));
  return {
    ...sharing,
    commitments: combineCommitments([sharing.commitments, ...lists], key),
    shares: new Map(
      [...sharing.shares].map(([index, share]) => {
        const subShares = dealings.map((coefficients) => subShare(coefficients, index));
        return [index, applyDealings({ share, index, root: 0, subShares })];
      }),
    ),
  };
};

/** `base ** exponent % modulus`, one multiplication at a time. Tests compare the engine with it. */
export const naivePow = (base: bigint, exponent: bigint, modulus: bigint): bigint => {
  let result = 1n;
  let square = ((base % modulus) + modulus) % modulus;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result % modulus;
};

/** All subsets with this number of items. */
export const subsetsOf = <Item>(items: readonly Item[], size: number): Item[][] =>
  size === 0
    ? [[]]
    : items.flatMap((item, position) =>
        subsetsOf(items.slice(position + 1), size - 1).map((rest) => [item, ...rest]),
      );
