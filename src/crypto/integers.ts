/** Arithmetic on integers, and conversions between integers and bytes. No function here is constant-time. */
import { ArithmeticError, EncodingError } from './errors.ts';

export const absolute = (n: bigint): bigint => (n < 0n ? -n : n);

/** The number of bits of |n|. It is 0 for 0. */
export const bitLength = (n: bigint): number => {
  if (n === 0n) return 0;
  const hex = absolute(n).toString(16);
  return 4 * hex.length - (Math.clz32(Number.parseInt(hex.charAt(0), 16)) - 28);
};

/** The residue of a in [0, m), also for negative a. */
export const mod = (a: bigint, m: bigint): bigint => {
  const residue = a % m;
  return residue < 0n ? residue + m : residue;
};

/** The greatest common divisor, never negative. gcd(0, 0) is 0. */
export const gcd = (a: bigint, b: bigint): bigint => {
  let [x, y] = [absolute(a), absolute(b)];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
};

/** The inverse of a in [0, m). @throws ArithmeticError when gcd(a, m) ≠ 1 */
export const modInverse = (a: bigint, m: bigint): bigint => {
  // Euclid's algorithm, with only the cofactor of `a`.
  let [r0, r1] = [m, mod(a, m)];
  let [x0, x1] = [0n, 1n];
  while (r1 !== 0n) {
    const q = r0 / r1;
    [r0, r1] = [r1, r0 - q * r1];
    [x0, x1] = [x1, x0 - q * x1];
  }
  if (r0 !== 1n) throw new ArithmeticError('the number has no inverse modulo the given modulus');
  return mod(x0, m);
};

/** m!, for a whole number m ≥ 0. */
export const factorial = (m: number): bigint => {
  let product = 1n;
  for (let i = 2; i <= m; i++) product *= BigInt(i);
  return product;
};

/** The integer that the bytes stand for: big-endian and unsigned. Empty bytes stand for 0. */
export const bytesToInteger = (bytes: Uint8Array): bigint =>
  bytes.length === 0
    ? 0n
    : BigInt(`0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`);

/**
 * The integer as exactly `length` bytes, big-endian.
 * @throws RangeError when n is negative or needs more bytes
 */
export const integerToBytes = (n: bigint, length: number): Uint8Array => {
  if (n < 0n || bitLength(n) > 8 * length)
    throw new RangeError(`the integer is negative or does not fit in ${length} bytes`);
  return length === 0
    ? new Uint8Array(0)
    : new Uint8Array(Buffer.from(n.toString(16).padStart(2 * length, '0'), 'hex'));
};

const negative = 1;
const nonNegative = 0;

/**
 * A sign byte (1 is negative, 0 is not), and then the shortest big-endian magnitude. Zero is the single byte
 * 0.
 */
export const encodeSigned = (n: bigint): Uint8Array => {
  const magnitude = integerToBytes(absolute(n), Math.ceil(bitLength(n) / 8));
  return new Uint8Array([n < 0n ? negative : nonNegative, ...magnitude]);
};

/** The inverse of `encodeSigned`. @throws EncodingError for bytes that `encodeSigned` never writes */
export const decodeSigned = (bytes: Uint8Array): bigint => {
  const sign = bytes[0];
  const canonical =
    (sign === nonNegative && bytes[1] !== 0) || (sign === negative && bytes.length > 1 && bytes[1] !== 0);
  if (!canonical) throw new EncodingError('not a canonical signed integer');
  const magnitude = bytesToInteger(bytes.subarray(1));
  return sign === negative ? -magnitude : magnitude;
};
