/** Sabotages of the rules for operators' orders (protocol §4.1, §6). */
import { calm, lying, type Sabotage } from './sabotage-options.ts';

export const orderSabotages: readonly Sabotage[] = [
  {
    name: 'ancestor unchecked',
    file: 'protocol/records/order.ts',
    rule: 'if (ancestor === undefined || !sameBytes(ancestor, body.ancestor))',
    broken: 'if (ancestor === body.ancestor && ancestor === undefined)',
    options: { ...lying, lies: ['order-of-another-branch'], orders: 0 },
    statements: ['7'],
    seedsMax: 5,
  },
  {
    name: 'half an order applied',
    file: 'protocol/records/draft.ts',
    rule: 'for (const action of actions) applyAction(setting, draft, action);',
    broken: `try {
      for (const action of actions) applyAction(setting, draft, action);
    } catch {
      // what was done before the action that does not fit stays done
    }`,
    options: { ...calm, orders: 3 },
    statements: ['7'],
    seedsMax: 20,
  },
  {
    name: 'orders may leave too few that attend',
    file: 'protocol/records/draft.ts',
    rule: 'checkAttendance(genesis, parent, draft);',
    broken: '',
    options: { ...lying, lies: ['two-attends'], orders: 3, livenessMs: 30_000 },
    statements: ['5'],
    seedsMax: 20,
  },
  {
    name: 'dealing key unchecked',
    file: 'protocol/change/validity.ts',
    rule: 'if (half.dealingKey === undefined || !sameBytes(half.dealingKey, made.action.dealingKey))',
    broken: 'if (half.dealingKey === undefined)',
    options: { ...lying, lies: ['new-key-dealt-by-a-stranger'], orders: 6 },
    statements: ['4'],
    seedsMax: 20,
  },
];
