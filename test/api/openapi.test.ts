import { readFileSync } from 'node:fs';
import { Validator } from '@seriousme/openapi-schema-validator';
import type { FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { handlersOf } from '../../src/api/handlers.ts';
import { buildDoor } from '../../src/api/http-server.ts';
import { openApiDocument } from '../../src/api/openapi.ts';
import { problemCodes } from '../../src/api/problem.ts';
import { routes } from '../../src/api/routes.ts';
import { silentLog } from '../../src/node/log.ts';
import { useRefusalCodes } from '../../src/node/use/partial-messages.ts';
import { asDaemon, fakeDaemon, noEvents } from './fake-daemon.ts';

interface Operation {
  operationId: string;
  summary: string;
  responses: Record<string, { content?: Record<string, unknown> }>;
}
type Paths = Record<string, Record<string, Operation>>;
interface Schemas {
  schemas: Record<string, Record<string, unknown>>;
}

describe('the OpenAPI document that the daemon serves', () => {
  const events = noEvents();
  let app: FastifyInstance;
  let served: Record<string, unknown>;
  beforeAll(async () => {
    const handlers = handlersOf(asDaemon(fakeDaemon()));
    app = await buildDoor({ door: 'tcp', handlers, events, log: silentLog });
    served = (await app.inject('/openapi.json')).json();
  });
  afterAll(async () => {
    events.close();
    await app.close();
  });

  test('is valid OpenAPI 3.1 by an independent validator, with every reference resolved', async () => {
    const validator = new Validator();
    const verdict = await validator.validate(structuredClone(served));
    expect(verdict.errors).toBeUndefined();
    expect(verdict.valid).toBe(true);
    expect(validator.version).toBe('3.1');
    const schemas = Object.keys((served.components as Schemas).schemas);
    const references = [...JSON.stringify(served).matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)];
    expect(references.length).toBeGreaterThan(50);
    for (const [, name] of references) expect(schemas).toContain(name);
  });

  test('names every rule that refuses a use, and so does the README, with what it means', () => {
    const readme = readFileSync(new URL('../../src/api/README.md', import.meta.url), 'utf8');
    for (const code of useRefusalCodes) {
      expect(JSON.stringify(served)).toMatch(new RegExp(`Rules for uses of keys: [^"]*\\b${code}\\b`));
      expect(readme).toMatch(new RegExp(`^\\| \`${code}\` +\\| \\S`, 'm'));
    }
  });

  test('that validator refuses a document with a fault', async () => {
    const broken = structuredClone(served) as { paths: Paths };
    const status = broken.paths['/v1/status']?.get as Partial<Operation>;
    delete status.responses;
    status.summary = 7 as never;
    expect((await new Validator().validate(broken)).valid).toBe(false);
  });

  test('names every route, its answer and its problems', () => {
    const paths = served.paths as Paths;
    const operations = Object.values(paths).flatMap((path) => Object.values(path));
    expect(operations.map(({ operationId }) => operationId).sort()).toEqual(Object.keys(routes).sort());
    for (const [id, { path, method, status, mediaType }] of Object.entries(routes)) {
      const operation = paths[path]?.[method.toLowerCase()];
      expect(operation?.operationId).toBe(id);
      if (status !== 204) expect(operation?.responses[status]?.content).toHaveProperty([mediaType]);
      expect(operation?.responses[500]?.content).toHaveProperty(['application/problem+json']);
    }
    const { Problem } = (served.components as Schemas).schemas as {
      Problem: { properties: { code: unknown } };
    };
    expect(Problem.properties.code).toMatchObject({ enum: problemCodes });
  });

  test('says what a request to sign is made of, as it travels', () => {
    const { SignRequest } = (openApiDocument().components as Schemas).schemas;
    interface Shape {
      properties: Record<string, object>;
    }
    const { request } = (SignRequest as unknown as Shape).properties as { request: { anyOf: Shape[] } };
    // One shape for each kind of key.
    const [rsa] = request.anyOf;
    expect(Object.keys(rsa?.properties ?? {}).sort()).toEqual([
      'asked',
      'client',
      'cluster',
      'expiresAtMs',
      'key',
      'kind',
      'nonce',
      'operation',
      'signature',
      'v',
    ]);
    expect(rsa?.properties.kind).toMatchObject({ const: 'rsa' });
    const { properties } = (rsa as Shape).properties.asked as Shape;
    expect(Object.keys(properties).sort()).toEqual(['digest', 'hash', 'salt', 'scheme']);
    expect(properties.salt).toMatchObject({ type: 'string', contentEncoding: 'base64' });
    expect(SignRequest?.required).toEqual(['request']);
  });
});
