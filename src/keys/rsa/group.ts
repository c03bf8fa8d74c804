/**
 * The group Z_N*∕{±1}, in which every equation of protocol §2 and §3 is taken: an element and its negative are the
 * same, so that nobody can hide a sign. Its representative is the smaller of the two.
 */
import { gcd, mod } from '../../crypto/integers.ts';

/** min(c mod N, N − c mod N) */
export const fold = (c: bigint, modulus: bigint): bigint => {
  const residue = mod(c, modulus);
  return 2n * residue < modulus ? residue : modulus - residue;
};

/** Whether all are in (0, N) and have no factor in common with N; one gcd for all. */
export const areUnits = (elements: readonly bigint[], modulus: bigint): boolean => {
  if (!elements.every((element) => element > 0n && element < modulus)) return false;
  return (
    gcd(
      elements.reduce((product, element) => (product * element) % modulus, 1n),
      modulus,
    ) === 1n
  );
};

export const isUnit = (c: bigint, modulus: bigint): boolean => areUnits([c], modulus);
