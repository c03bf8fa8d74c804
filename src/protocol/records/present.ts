import assert from 'node:assert/strict';

/** What must be there: an assertion that stops the process names what is missing, and the type needs no cast. */
export function present<T>(value: T | null | undefined, what: string): T {
  assert(value !== undefined && value !== null, `${what} must be there`);
  return value;
}

/** The pairs of two lists that belong together, position by position: lists of other lengths stop the process. */
export function zip<A, B extends {}>(one: readonly A[], other: readonly B[]): [A, B][] {
  assert(one.length === other.length, 'two lists that belong together have one length');
  return one.map((each, at) => [each, present(other[at], 'the other of each pair')]);
}
