/** Orders in words. An operator reads them before signing, and when the order was carried out. */

import { verify } from '../crypto/signature.ts';
import { kindNamed } from '../keys/kinds.ts';
import type { Home } from '../node/home/home.ts';
import { fingerprintOf } from '../protocol/records/admission.ts';
import { hex } from '../protocol/records/codec.ts';
import { type Action, hashOfOrder, type Order } from '../protocol/records/order.ts';
import { explainChoice, memberAt } from '../protocol/records/roster.ts';
import type { Client, Value } from '../protocol/records/value.ts';
import { CommandError } from './terminal.ts';

type Cluster = Pick<Home, 'genesis' | 'cluster'>;

/**
 * One sentence about the action, with everything that the order binds.
 * @param head the newest value known here, for the names of members; null when none is known
 */
function actionInWords(action: Action, { genesis, cluster }: Cluster, head: Value | null): string {
  const newcomer = ({ peer, epochKey }: { peer: string; epochKey: Uint8Array }): string =>
    `fingerprint ${fingerprintOf({ cluster, peer, epochKey })}, peer ${peer}`;
  const member = (index: number): string => {
    const name = head === null ? undefined : memberAt(head.roster, index)?.name;
    return name === undefined ? `member ${index} (its name is not known here)` : `${name} (member ${index})`;
  };
  switch (action.type) {
    case 'create-key': {
      const { bits } = kindNamed(action.kind).publicForms(action.public);
      const k = action.commitments.length + 1;
      return `create key ${action.name}, ${action.kind.toUpperCase()} of ${bits} bits, to ${action.use} with; ${k} peers must work together to use it`;
    }
    case 'create-key-jointly':
      return `have the members create key ${action.name} together, ${action.kind}, to ${action.use} with: nobody ever knows it`;
    case 'destroy-key':
      return `destroy key ${action.name} for ever: every share of it is erased`;
    case 'admit':
      return `admit ${action.name} as a member: ${newcomer(action)}`;
    case 'reinstate':
      return `give ${member(action.index)} its place again, with a new home: ${newcomer(action)}`;
    case 'evict':
      return `evict ${member(action.index)}`;
    case 'force-evict': {
      const stay = action.remaining.map(member).join(', ');
      const gone = head?.roster.filter(({ index }) => !action.remaining.includes(index)) ?? [];
      const who = gone.length === 0 ? 'all other members' : gone.map(({ index }) => member(index)).join(', ');
      return `evict by force ${who}; ${stay} decide alone: ${forcedRisk('those evicted')}`;
    }
    case 'raise-threshold': {
      const choice =
        head === null ? '' : `: ${explainChoice(head.roster.length, action.threshold, genesis.faultModel)}`;
      return `raise the threshold to ${action.threshold}, for ever${choice}`;
    }
    case 'add-client': {
      const { name, publicKey, ratePerMinute } = action.client;
      return `list client ${name}: ${rightsInWords(action.client)}; ${rateInWords(ratePerMinute)}; public key ${hex(publicKey)}`;
    }
    case 'remove-client':
      return `remove client ${action.name}`;
  }
}

/** The risk of a forced eviction in words. Every command that asks for one shows it. */
export const forcedRisk = (who: string): string =>
  `should ${who} still run somewhere with enough others, they are a second group with the same key`;

/** The rights of a client in words. */
export const rightsInWords = ({ rights }: Pick<Client, 'rights'>): string =>
  rights
    .map(
      ({ key, operations, schemes }) =>
        `${operations.join('+')} with ${key}${schemes === undefined ? '' : ` by ${schemes.join('+')}`}`,
    )
    .join(', ');

/** The rate of a client in words. 0 means no bound. */
export const rateInWords = (perMinute: number): string =>
  perMinute === 0 ? 'no bound on its requests' : `${perMinute} requests a minute at each peer`;

/**
 * The numbers of the operators that signed, counted from 1 in the order of the genesis.
 * @throws CommandError `refused` for a false signature
 */
export function signersOf(order: Order, { genesis }: Cluster): number[] {
  const digest = hashOfOrder(order);
  const signers = order.signatures.map(({ operator, signature }) => {
    const key = genesis.operators[operator];
    if (key === undefined || !verify(key, digest, signature))
      throw new CommandError(
        'refused',
        `the signature of operator ${operator + 1} is false; have the order made again`,
      );
    return operator + 1;
  });
  return [...new Set(signers)].sort((a, b) => a - b);
}

/** An order with all that an operator must know before signing. It is also the document for `--json`. */
interface OrderFacts {
  /** In the order in which they take effect. The group carries out all of them or none. */
  actions: { type: Action['type']; words: string }[];
  cluster: string;
  clusterName: string;
  sequence: number;
  ancestorEpoch: number;
  knownEpoch: number | null;
  signedBy: number[];
  needed: number;
  operators: number;
}

/**
 * The facts about an order. `head` is the newest value known here, or null.
 * @throws CommandError `refused` for a false signature
 */
export function factsOf(order: Order, of: Cluster, head: Value | null): OrderFacts {
  const { actions, sequence, ancestorEpoch } = order.body;
  return {
    actions: actions.map((action) => ({ type: action.type, words: actionInWords(action, of, head) })),
    cluster: hex(of.cluster),
    clusterName: of.genesis.name,
    sequence,
    ancestorEpoch,
    knownEpoch: head?.epoch ?? null,
    signedBy: signersOf(order, of),
    needed: of.genesis.operatorsNeeded,
    operators: of.genesis.operators.length,
  };
}

/** All actions of an order, in one line. */
export const actionsInWords = ({ actions }: Pick<OrderFacts, 'actions'>): string =>
  actions.map(({ words }) => words).join('; ');

/** Which operators have signed, and how many must sign, in words. */
export const signaturesInWords = ({ signedBy, needed, operators }: OrderFacts): string =>
  signedBy.length === 0
    ? `signed by nobody; ${needed} of ${operators} operators are needed`
    : `signed by operator${signedBy.length === 1 ? '' : 's'} ${signedBy.join(', ')}: ${signedBy.length} of ${needed} needed (there are ${operators})`;

/** The lines that describe an order to an operator. */
export const orderInWords = (facts: OrderFacts): string[] => [
  ...facts.actions.map(({ words }) => words),
  `order ${facts.sequence} of cluster ${facts.clusterName} (${facts.cluster.slice(0, 16)}…), made in epoch ${facts.ancestorEpoch}; ${facts.knownEpoch === null ? 'no epoch is known here' : `the newest known here is ${facts.knownEpoch}`}`,
  signaturesInWords(facts),
];
