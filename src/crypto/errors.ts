/**
 * An error that whoever catches it acts upon: `code` says what happened, from a closed list, and the message
 * says it to a person. Every room's errors with a code are of this class.
 */
export abstract class CodedError<Code extends string> extends Error {
  readonly code: Code;

  constructor(code: Code, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

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
