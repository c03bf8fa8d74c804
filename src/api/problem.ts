/** Errors of the API as problem documents (RFC 9457), with codes from one closed table that programs can rely on. */

import { z } from 'zod';
import { CodedError } from '../crypto/errors.ts';
import { DaemonError } from '../node/errors.ts';
import { useRefusalCodes } from '../node/use/partial-messages.ts';
import { ProtocolError } from '../protocol/records/errors.ts';
import { UseRefusal } from '../protocol/records/use-request.ts';

interface Kind {
  status: number;
  title: string;
  /** When to try again; left out where trying again is no use. */
  retryAfterS?: number;
}

export const problemKinds = {
  malformed: { status: 400, title: 'The request is malformed' },
  refused: { status: 403, title: 'A rule forbids it' },
  'socket-only': { status: 403, title: 'This is served on the socket in the peer’s home only' },
  'no-such-resource': { status: 404, title: 'There is nothing at this address' },
  unknown: { status: 404, title: 'There is no such thing here' },
  'wrong-method': { status: 405, title: 'This address takes another method' },
  'too-slow': { status: 408, title: 'The request did not arrive in time' },
  'not-a-member': { status: 409, title: 'This peer is not a member' },
  'too-large': { status: 413, title: 'The request is too large' },
  'wrong-media-type': { status: 415, title: 'The body must be JSON' },
  misdirected: { status: 421, title: 'This host name is not served here' },
  busy: { status: 429, title: 'Too much at once', retryAfterS: 1 },
  'too-many-requests': { status: 429, title: 'Too many requests', retryAfterS: 1 },
  'over-rate': { status: 429, title: 'The client’s rate is used up', retryAfterS: 60 },
  'headers-too-large': { status: 431, title: 'The request’s headers are too large' },
  internal: { status: 500, title: 'Something went wrong inside the daemon' },
  'not-enough-peers': { status: 503, title: 'Not enough peers answered', retryAfterS: 5 },
  'not-founded': { status: 503, title: 'The cluster could not be founded', retryAfterS: 5 },
  'not-ready': { status: 503, title: 'This peer cannot serve uses of keys yet', retryAfterS: 5 },
  unwritable: { status: 503, title: 'The disk of this peer takes no writes', retryAfterS: 5 },
  overloaded: { status: 503, title: 'Too many uses of keys are under way', retryAfterS: 1 },
} as const satisfies Record<string, Kind>;

export type ProblemCode = keyof typeof problemKinds;
export const problemCodes = Object.keys(problemKinds) as [ProblemCode, ...ProblemCode[]];
export const problemMediaType = 'application/problem+json';

export const problemSchema = z.object({
  type: z.string().describe('urn:holdfast:problem:CODE'),
  title: z.string(),
  status: z.int(),
  code: z.enum(problemCodes),
  detail: z.string().describe('one line for people'),
  details: z
    .record(z.string(), z.string())
    .default({})
    .describe(
      `who did not answer and why, or which rule refused, by name. Rules for uses of keys: ${useRefusalCodes.join(', ')}; of a member that gave no answer: silent, lied`,
    ),
});
export type ProblemDocument = z.infer<typeof problemSchema>;

export const retryAfterS = (code: ProblemCode): number | null =>
  (problemKinds[code] as Kind).retryAfterS ?? null;

/** What the API itself finds wrong with a request. */
export class ApiProblem extends CodedError<ProblemCode> {
  override readonly name = 'ApiProblem';
}

/** Answers repeat nothing at length that a request said. */
const detailLengthMax = 300;

export const problem = (
  code: ProblemCode,
  detail: string,
  details: Record<string, string> = {},
): ProblemDocument => ({
  type: `urn:holdfast:problem:${code}`,
  title: problemKinds[code].title,
  status: problemKinds[code].status,
  code,
  detail: detail.length > detailLengthMax ? `${detail.slice(0, detailLengthMax - 1)}…` : detail,
  details,
});

/** What HTTP itself, or Fastify, refuses. */
const codeOfStatus: Readonly<Record<number, ProblemCode>> = {
  404: 'no-such-resource',
  408: 'too-slow',
  413: 'too-large',
  415: 'wrong-media-type',
  431: 'headers-too-large',
};

/** The problem that an error stands for; null for a bug, whose text stays inside. */
export function problemOf(error: unknown): ProblemDocument | null {
  if (error instanceof ApiProblem) return problem(error.code, error.message);
  if (error instanceof DaemonError) {
    const reasons = Object.values(error.details);
    const overRate = reasons.length > 0 && reasons.every((reason) => reason === 'over-rate');
    return problem(overRate ? 'over-rate' : error.code, error.message, error.details);
  }
  if (error instanceof UseRefusal)
    return problem(error.code === 'over-rate' ? 'over-rate' : 'refused', error.message, { rule: error.code });
  if (error instanceof ProtocolError)
    return problem(error.code === 'malformed' ? 'malformed' : 'refused', error.message, { rule: error.code });
  const { statusCode, message } = error as { statusCode?: unknown; message?: unknown };
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return problem(codeOfStatus[statusCode] ?? 'malformed', String(message));
  return null;
}
