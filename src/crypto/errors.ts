/**
 * The base class of errors that the catching code acts on. `code` is from a closed list and names the case.
 * `message` is one sentence for a person. Every error with a code, in every room, is of this class.
 */
export abstract class CodedError<Code extends string> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/**
 * An operation on integers has no answer: there is no inverse, no exact quotient, or a value is out of its
 * range.
 */
export class ArithmeticError extends Error {
  override readonly name = 'ArithmeticError';
}

/** The public values of a key, or the primes that it is made from, break a rule of protocol §2. */
export class KeyError extends Error {
  override readonly name = 'KeyError';
}

/** Bytes, or a padded block, do not have the required form. */
export class EncodingError extends Error {
  override readonly name = 'EncodingError';
}
