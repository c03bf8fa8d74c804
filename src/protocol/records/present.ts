import { strict as assert } from 'node:assert';

/** What must be there: an assertion that stops the process names what is missing, and the type needs no cast. */
export function present<T>(value: T | null | undefined, what: string): T {
  assert(value !== undefined && value !== null, `${what} must be there`);
  return value;
}
