/** Errors of the API as problem documents (RFC 9457), with codes that programs can rely on. */
import { z } from 'zod';
import { DaemonError, type DaemonErrorCode } from '../node/view.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { UseRefusal } from '../protocol/use-request.ts';

export type ProblemCode = DaemonErrorCode | 'malformed' | 'no-such-resource' | 'internal';

const statusOf: Readonly<Record<ProblemCode, number>> = {
  malformed: 400,
  refused: 403,
  'no-such-resource': 404,
  unknown: 404,
  'not-a-member': 409,
  busy: 429,
  internal: 500,
  'not-enough-peers': 503,
};

export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number(),
  code: z.enum(Object.keys(statusOf) as [ProblemCode, ...ProblemCode[]]),
  detail: z.string(),
  /** Who did not answer, or which rule refused, by name. */
  details: z.record(z.string(), z.string()).default({}),
});
export type ProblemDocument = z.infer<typeof problemSchema>;

const titles: Readonly<Record<ProblemCode, string>> = {
  malformed: 'The request is malformed',
  refused: 'Refused',
  'no-such-resource': 'There is nothing at this address',
  unknown: 'Unknown',
  'not-a-member': 'This peer is not a member',
  busy: 'Too much at once',
  internal: 'Something went wrong inside the daemon',
  'not-enough-peers': 'Not enough peers answered',
};

export const problem = (
  code: ProblemCode,
  detail: string,
  details: Record<string, string> = {},
): ProblemDocument => ({
  type: `urn:holdfast:problem:${code}`,
  title: titles[code],
  status: statusOf[code],
  code,
  detail,
  details,
});

/** The problem that an error stands for; null for a bug, whose text stays inside. */
export function problemOf(error: unknown): ProblemDocument | null {
  if (error instanceof DaemonError) return problem(error.code, error.message, error.details);
  if (error instanceof UseRefusal) return problem('refused', error.message, { rule: error.code });
  if (error instanceof ProtocolError)
    return problem(error.code === 'malformed' ? 'malformed' : 'refused', error.message, { rule: error.code });
  if (error instanceof z.ZodError) {
    const issue = error.issues[0];
    return problem(
      'malformed',
      `${issue?.path.join('.') || 'the request'}: ${issue?.message ?? 'not as expected'}`,
    );
  }
  const { statusCode, message } = error as { statusCode?: unknown; message?: unknown };
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500)
    return problem('malformed', String(message));
  return null;
}
