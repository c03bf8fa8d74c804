/** Why a computation failed, in words of a closed list: an error's own message may hold a number that is secret. */

const known: ReadonlyArray<readonly [pattern: RegExp, cause: string]> = [
  [/out[ _]of[ _]memory|ERR_WORKER_OUT_OF_MEMORY|allocation failed/i, 'no memory was left'],
  [/queue is at limit/i, 'too many computations wait'],
  [/terminat|exited|abort/i, 'the worker died'],
];
const named = new Set([
  'ArithmeticError',
  'AssertionError',
  'EncodingError',
  'KeyError',
  'RangeError',
  'SealError',
]);

export function causeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'the worker failed';
  const { code } = error as Error & { code?: unknown };
  const found = known.find(([pattern]) =>
    pattern.test(`${typeof code === 'string' ? code : ''} ${error.message}`),
  );
  return found?.[1] ?? (named.has(error.name) ? `the arithmetic failed: ${error.name}` : 'the worker failed');
}
