/**
 * All sabotages. Each breaks one rule by a small change of its source. They prove that the simulator can
 * fail.
 */
import type { Sabotage } from './sabotage-options.ts';
import { agreementSabotages } from './sabotages-of-agreement.ts';
import { boundSabotages } from './sabotages-of-bounds.ts';
import { orderSabotages } from './sabotages-of-orders.ts';
import { recoverySabotages } from './sabotages-of-recovery.ts';
import { shareSabotages } from './sabotages-of-shares.ts';

export const sabotages: readonly Sabotage[] = [
  ...agreementSabotages,
  ...shareSabotages,
  ...recoverySabotages,
  ...boundSabotages,
  ...orderSabotages,
];
