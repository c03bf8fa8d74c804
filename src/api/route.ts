/** What an address of the API is described by; `routes.ts` has them all. */
import { z } from 'zod';
import { apiLimits } from './limits.ts';
import type { ProblemCode } from './problem.ts';

const nothing = z.strictObject({});
type Nothing = typeof nothing;

export interface Route<
  Params extends z.ZodObject = z.ZodObject,
  Query extends z.ZodObject = z.ZodObject,
  Body extends z.ZodType = z.ZodType,
  Answer extends z.ZodType = z.ZodType,
> {
  method: 'GET' | 'POST';
  /** OpenAPI's form: `/v1/epochs/{epoch}`. */
  path: string;
  summary: string;
  /** `everywhere`: on TCP too, so nothing may rest on the socket's file mode. `socket`: for the owner of the home. */
  doors: 'everywhere' | 'socket';
  params: Params;
  query: Query;
  body: Body;
  bodyBytesMax: number;
  status: 200 | 202 | 204;
  mediaType: string;
  answer: Answer;
  /** Besides those that any address may answer with. */
  problems: readonly ProblemCode[];
  /** Counts against the uses of keys that may be under way. */
  usesKey: boolean;
}

/** Fills in what most routes have in common. */
export function route<
  Answer extends z.ZodType = Nothing,
  Params extends z.ZodObject = Nothing,
  Query extends z.ZodObject = Nothing,
  Body extends z.ZodType = Nothing,
>(
  given: Pick<Route, 'method' | 'path' | 'summary' | 'doors'> & Partial<Route<Params, Query, Body, Answer>>,
): Route<Params, Query, Body, Answer> {
  const common = {
    params: nothing,
    query: nothing,
    body: nothing,
    bodyBytesMax: apiLimits.bodyBytesMax,
    status: 200,
    mediaType: 'application/json',
    answer: nothing,
    problems: [],
    usesKey: false,
  };
  return { ...common, ...given } as unknown as Route<Params, Query, Body, Answer>;
}
