/**
 * What the daemon does for each route. Requests are checked before, answers after; errors go up as they are
 * thrown.
 */
import type { PublicForms } from '../keys/kind/kind.ts';
import { AskedError, type Asked as KeyAsked } from '../keys/kind/operation.ts';
import { kindNamed } from '../keys/kinds.ts';
import { DaemonError } from '../node/errors.ts';
import type { DaemonApi, KeyView } from '../node/views/view.ts';
import { fromHex } from '../protocol/records/codec.ts';
import { orderId } from '../protocol/records/order.ts';
import { openApiDocument } from './openapi.ts';
import { ApiProblem } from './problem.ts';
import { unreadiness } from './readiness.ts';
import type { Answer, Asked, RouteId } from './routes.ts';

/**
 * All but the stream of events, which is no answer to a question. `gone` aborts when the asker has hung up.
 */
export type Handlers = {
  [Id in Exclude<RouteId, 'events'>]: (
    asked: Asked<Id>,
    gone: AbortSignal,
  ) => Answer<Id> | Promise<Answer<Id>>;
};

const formsOf = (key: KeyView): PublicForms => kindNamed(key.kind).publicForms(fromHex(key.public));

const jwkOf = (key: KeyView): Answer<'keyJwk'> => ({
  ...formsOf(key).jwk,
  kid: key.name,
  use: key.use === 'sign' ? 'sig' : 'enc',
});

/** Throws `ApiProblem` for what no signature of this key can be of. */
function isValid({ kind, name, ...key }: KeyView, asked: KeyAsked, signature: Uint8Array): boolean {
  const operation = kindNamed(kind).operations.sign;
  if (operation === undefined || !operation.asked.safeEncode(asked).success)
    throw new ApiProblem('malformed', `no signature by ${name} is of what is asked`);
  try {
    operation.checkForm(asked);
  } catch (error) {
    if (error instanceof AskedError) throw new ApiProblem('malformed', error.message);
    throw error;
  }
  return operation.verify({ publicBytes: fromHex(key.public), asked, result: signature });
}

export function handlersOf(daemon: DaemonApi): Handlers {
  const document = openApiDocument();
  const keyNamed = (name: string): KeyView => {
    const found = daemon.keys().find((key) => key.name === name);
    if (found === undefined) throw new DaemonError('unknown', `there is no key named ${name}`);
    return found;
  };
  return {
    health: () => ({ alive: true }),
    ready: () => {
      const missing = unreadiness(daemon.status());
      if (missing !== null) throw new ApiProblem('not-ready', missing);
      return { ready: true };
    },
    openapi: () => document,
    status: () => daemon.status(),
    peers: () => ({ peers: daemon.peers() }),
    epochs: async ({ query: { limit } }) => ({ epochs: await daemon.epochs(limit) }),
    epoch: ({ params: { epoch } }) => daemon.epoch(epoch),
    keys: () => ({ keys: daemon.keys() }),
    key: ({ params }) => keyNamed(params.name),
    keyPem: ({ params }) => formsOf(keyNamed(params.name)).pem,
    keySsh: ({ params }) => `${formsOf(keyNamed(params.name)).ssh} ${params.name}\n`,
    keyJwk: ({ params }) => jwkOf(keyNamed(params.name)),
    jwks: () => ({ keys: daemon.keys().map(jwkOf) }),
    verify: ({ body: { key, asked, signature } }) => ({ valid: isValid(keyNamed(key), asked, signature) }),

    sign: ({ body: { request, timeoutMs } }, gone) => daemon.sign(request, timeoutMs, gone),
    decrypt: ({ body: { request, ...options } }, gone) => daemon.decrypt(request, { ...options, gone }),
    submitOrder: async ({ body: { order } }) => {
      await daemon.submitOrder(order);
      return { order: orderId(order) };
    },

    audit: () => daemon.audit(),
    links: async ({ query }) => ({ links: await daemon.links(query.from) }),
    invite: async ({ body }) => ({ invitation: await daemon.invite(body.openForMs) }),
    found: async ({ body }) => {
      await daemon.found(body.link);
      return {};
    },
    creation: ({ params }) => daemon.creation(params.order),
    submitDealings: async ({ body }) => {
      await daemon.submitDealings(body.packets);
      return {};
    },
    refresh: () => {
      daemon.refresh();
      return {};
    },
  };
}
