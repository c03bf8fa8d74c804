/** The OpenAPI 3.1 document, made of the schemas by which the server checks requests and answers. */
import { z } from 'zod';
import { problemCodes, problemKinds, problemMediaType, problemSchema, retryAfterS } from './problem.ts';
import type { Route } from './route.ts';
import { problemsOf, type RouteId, routeIds, routes } from './routes.ts';

type Json = Record<string, unknown>;

const capitalized = (id: string): string => id.charAt(0).toUpperCase() + id.slice(1);
const reference = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const bodyName = (id: RouteId): string => `${capitalized(id)}Request`;
const answerName = (id: RouteId): string => `${capitalized(id)}Answer`;

/** All bodies and answers by name, in the form in which they travel. */
function components(): Json {
  const registry = z.registry<{ id: string; description?: string }>();
  registry.add(problemSchema, { id: 'Problem', description: codeTable() });
  for (const id of routeIds) {
    const { method, body, answer } = routes[id] as Route;
    if (method === 'POST') addTo(registry, body, bodyName(id));
    addTo(registry, answer, answerName(id));
  }
  const { schemas } = z.toJSONSchema(registry, { io: 'input', uri: (id) => `#/components/schemas/${id}` });
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, bare(schema)]));
}

/** A schema that several routes share gets a place of its own in the registry for each. */
const addTo = (registry: z.core.$ZodRegistry<{ id: string }>, schema: z.ZodType, id: string): void =>
  void registry.add(schema.clone(), { id });

/** Without the dialect and the address, which the document says once. */
const bare = ({ $schema, $id, ...schema }: Json): Json => schema;

const codeTable = (): string =>
  `An error (RFC 9457). The codes, each with its status: ${problemCodes
    .map((code) => `${code} (${problemKinds[code].status})`)
    .join(', ')}.`;

const parameters = (place: 'path' | 'query', schema: z.ZodObject): Json[] =>
  Object.entries(schema.shape).map(([name, inner]) => ({
    name,
    in: place,
    required: place === 'path' || !inner.safeParse(undefined).success,
    schema: bare(z.toJSONSchema(inner as z.ZodType, { io: 'input' }) as Json),
  }));

const retryAfter: Json = {
  'Retry-After': { description: 'seconds', schema: { type: 'integer' } },
};

function problemResponses(id: RouteId): Json {
  const responses: Json = {};
  for (const status of new Set(problemsOf(id).map((code) => problemKinds[code].status))) {
    const codes = problemsOf(id).filter((code) => problemKinds[code].status === status);
    responses[status] = {
      description: codes.map((code) => `\`${code}\`: ${problemKinds[code].title}`).join('; '),
      ...(codes.some((code) => retryAfterS(code) !== null) ? { headers: retryAfter } : {}),
      content: { [problemMediaType]: { schema: reference('Problem') } },
    };
  }
  return responses;
}

function operation(id: RouteId): Json {
  const { method, summary, doors, params, query, status, mediaType } = routes[id] as Route;
  const given = [...parameters('path', params), ...parameters('query', query)];
  const content = { [mediaType]: { schema: reference(answerName(id)) } };
  return {
    operationId: id,
    summary: doors === 'socket' ? `${summary} (on the Unix socket only)` : summary,
    ...(given.length === 0 ? {} : { parameters: given }),
    ...(method === 'GET'
      ? {}
      : {
          requestBody: {
            required: true,
            content: { 'application/json': { schema: reference(bodyName(id)) } },
          },
        }),
    responses: {
      [status]: { description: 'Done', ...(status === 204 ? {} : { content }) },
      ...problemResponses(id),
    },
  };
}

/** One document for both doors; what is served on the socket only says so. */
export function openApiDocument(): Json & { openapi: string } {
  const paths: Record<string, Json> = {};
  for (const id of routeIds) {
    const { path, method } = routes[id];
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(id) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Holdfast',
      version: '1',
      description:
        'A peer of a group that keeps RSA keys. Every use of a key is signed by a client (`holdfast client sign-request`), every order by operators. Ids and digests are lower-case hex, other bytes base64.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'the daemon that this was read from' }],
    paths,
    components: { schemas: components() },
  };
}
