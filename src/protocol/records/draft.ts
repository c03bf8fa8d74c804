/**
 * What orders make of a value (§4.1): every action of every order in sequence, all of them or none. Leader,
 * voters and whoever reads the chain draft with this one function.
 */

import { hashOf } from '../../crypto/hash.ts';
import { attendanceOf, checkAttendance, lastingSuspensions } from './attendance.ts';
import { encode, sameBytes } from './codec.ts';
import { applyAction, type Draft } from './draft-actions.ts';
import { ProtocolError } from './errors.ts';
import type { Genesis } from './genesis.ts';
import { type Action, checkOrder, hashOfOrder, type Order, type OrderBody } from './order.ts';
import { faultsOf, type Member, memberAt } from './roster.ts';
import { ancestorsAfter, hashOfValue, type Value } from './value.ts';

/**
 * Applies orders in sequence to the value before, and the actions of each in their order. Throws `bad-order`
 * for one that does not fit, naming what is wrong: then nothing of its order is applied. Every member gets
 * the same result.
 */
export function draftOf(
  genesis: Genesis,
  clusterId: Uint8Array,
  parent: Value,
  orders: readonly Order[],
): Draft {
  for (const order of orders) checkOrder(genesis, clusterId, parent, order);
  return draftOfBodies(
    genesis,
    clusterId,
    parent,
    orders.map(({ body }) => body),
  );
}

/**
 * What one order of these actions would make of a value, before anybody signs it. Throws `bad-order` as
 * `draftOf` does.
 */
export function draftOfActions(
  genesis: Genesis,
  clusterId: Uint8Array,
  parent: Value,
  actions: readonly Action[],
): Draft {
  const next = { ancestor: hashOfValue(parent), sequence: parent.lastOrder + 1, actions };
  return draftOfBodies(genesis, clusterId, parent, [next]);
}

type Body = Pick<OrderBody, 'ancestor' | 'sequence'> & { actions: readonly Action[] };

function draftOfBodies(
  genesis: Genesis,
  clusterId: Uint8Array,
  parent: Value,
  bodies: readonly Body[],
): Draft {
  const draft: Draft = {
    roster: [...parent.roster],
    threshold: parent.threshold,
    keys: [...parent.keys],
    clients: [...parent.clients],
    lastOrder: parent.lastOrder,
    created: [],
    reinstated: [],
    forced: null,
  };
  for (const { ancestor, sequence, actions } of bodies) {
    if (sequence !== draft.lastOrder + 1)
      throw new ProtocolError('bad-order', `order ${sequence} does not follow ${draft.lastOrder}`);
    draft.lastOrder = sequence;
    const setting = { genesis, clusterId, parent, ancestor, sequence };
    for (const action of actions) applyAction(setting, draft, action);
  }
  // The plan without orders changes nothing that its members could be too few for: it must always be there.
  if (bodies.length === 0) return draft;
  if (draft.forced === null) checkRosterChange(genesis, parent, draft);
  else checkForced(parent, bodies);
  checkAttendance(genesis, parent, draft);
  return draft;
}

const isSame = (one: Member, other: Member): boolean => one.index === other.index && one.peer === other.peer;

/** The value that a draft makes if everybody attends who may, for judging what is to come after it. */
export function valueAtBest(genesis: Genesis, parent: Value, draft: Draft): Value {
  const { threshold, keys, clients, lastOrder } = draft;
  const epoch = parent.epoch + 1;
  const { able } = attendanceOf(genesis, parent);
  const roster = draft.roster.map((one) =>
    able.some((member) => isSame(member, one)) ? { ...one, keyEpoch: epoch } : one,
  );
  const suspended = lastingSuspensions(parent, roster);
  const ancestors = ancestorsAfter(parent);
  return { ...parent, epoch, ancestors, roster, threshold, keys, clients, suspended, lastOrder };
}

/**
 * A forced eviction stands alone in its plan and names the very value that it follows: it is no order for
 * another day.
 */
function checkForced(parent: Value, bodies: readonly Body[]): void {
  const [body] = bodies;
  const alone = bodies.length === 1 && body?.actions.length === 1;
  if (!alone || !sameBytes(body.ancestor, hashOfValue(parent)))
    throw new ProtocolError(
      'bad-order',
      'a forced eviction must be the only action of the only order, on the newest value',
    );
}

/**
 * Orders that leave fewer than `k + 2m` members in both rosters are refused: two changes do it (§4.1). Of
 * those `m` may be silent, and the old identity of a reinstated member is: it is lost, suspended or long
 * absent.
 */
function checkRosterChange(genesis: Genesis, parent: Value, draft: Draft): void {
  const stay = draft.roster.filter((member) => parent.roster.some((one) => isSame(one, member))).length;
  if (stay === parent.roster.length && draft.threshold === parent.threshold) return;
  const m =
    genesis.faultModel === 'crash'
      ? 0
      : Math.min(
          faultsOf(parent.roster.length, parent.threshold, genesis.faultModel),
          faultsOf(draft.roster.length, draft.threshold, genesis.faultModel),
        );
  const silent = draft.reinstated.filter((index) => memberAt(parent.roster, index) !== undefined).length;
  if (stay + Math.min(silent, m) < draft.threshold + 2 * m)
    throw new ProtocolError(
      'bad-order',
      `only ${stay} members would be in both rosters; ${draft.threshold + 2 * m} are needed: make two changes of it`,
    );
}

/** The plan's name: hash of parent, next roster, `k`, keys and orders (§4.1). */
export function planOf(parent: Value, draft: Draft, orders: readonly Order[]): Uint8Array {
  return hashOf(
    'holdfast/plan/1',
    hashOfValue(parent),
    encode({
      roster: draft.roster.map(({ index, name, peer }) => [index, name, peer]),
      threshold: draft.threshold,
      keys: draft.keys.map((key) => key.id),
      clients: draft.clients.map((client) => client.publicKey),
      orders: orders.map(hashOfOrder),
    }),
  );
}

/** The plan of epoch 0: it ties what the operators sign to their cluster. */
export const foundingPlanOf = (clusterId: Uint8Array): Uint8Array =>
  hashOf('holdfast/plan/1', clusterId, encode(['founding']));
