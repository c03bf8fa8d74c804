/** An operation on integers has no answer: no inverse, no exact quotient, a value outside its range. */
export class ArithmeticError extends Error {
  override readonly name = 'ArithmeticError';
}

/** The public values of a key, or the primes it is made from, break a rule of protocol §2. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
}

/** Bytes or a block do not have the form that they must have. */
export class EncodingError extends Error {
  override readonly name = 'EncodingError';
}
