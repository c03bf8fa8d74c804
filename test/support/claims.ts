/**
 * Compares the claims and the advice of p1's status in a situation with what the simulated group really can
 * do.
 */

import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { abilitiesIn } from '../../src/node/views/ability.ts';
import { evicting, outlookOf, reinstating, sceneOf } from '../../src/node/views/possible-orders.ts';
import { whoCan } from '../../src/node/views/prospects.ts';
import { headOf, holdsShare } from '../../src/protocol/machine/queries.ts';
import { ProtocolError } from '../../src/protocol/records/errors.ts';
import type { Action } from '../../src/protocol/records/order.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { arrange, decides, refreshes, type Situation, signs } from './misfortunes.ts';

const placeOf = (group: Group, name: string): number =>
  group.nodes.findIndex((node) => node.name === name) + 1;

/** The claims that are false, in words. Empty when all claims are true. */
export async function falseClaims(situation: Situation): Promise<string[]> {
  const found: string[] = [];
  const check = (what: string, claimed: boolean, real: boolean): void => {
    if (claimed !== real) found.push(`${what}: claimed ${claimed}, and it is ${real}`);
  };
  const group = await arrange(situation);
  const status = group.status(1);
  const { sign, refresh } = status.prospects ?? {};
  if (sign === undefined || refresh === undefined) throw new Error('a member has prospects');
  const codes = status.problems.map(({ code }) => code);
  for (const { name, connection: link, share } of status.roster)
    if (link === 'self' || link === 'proven')
      check(`${name} holds its share`, share === 'held', holdsShare(group.state(placeOf(group, name))));
  check('nothing is unknown', true, sign.can !== 'unknown' && refresh.can !== 'unknown');
  const canSign = signs(group);
  check('keys can be used', sign.can === 'yes', canSign);
  check('the first problem is that nobody can sign', codes[0] === 'cannot-sign', !canSign);
  for (const { what, remedy } of status.problems)
    if (remedy.includes('Signing is not affected')) check(`${what} ${remedy}`, true, canSign);
  const canRefresh = await refreshes(group);
  check('a refresh completes', refresh.can === 'yes', canRefresh);
  check('the next refresh will wait', codes.includes('refresh-will-wait'), !canRefresh);
  if (canRefresh) await group.run(8_000); // members that got their shares by it have said so by then
  await checkSpare(group, check);
  await group.stopAll();
  if (!canRefresh && canSign) await checkAdvice(situation, check);
  for (const action of [evicting(situation.members.length), reinstating(situation.members.length)])
    await checkOutlook(situation, action, check);
  return found;
}

type Check = (what: string, claimed: boolean, real: boolean) => void;

/**
 * Stops one member that can sign and attend. The group must stop exactly when the status warned that none is
 * to spare.
 */
async function checkSpare(group: Group, check: Check): Promise<void> {
  const { prospects, roster, warnings } = group.status(1);
  const [one] = whoCan(whoCan(roster, 'sign'), 'attend').filter(({ self }) => !self);
  if (prospects === null || one === undefined || prospects.sign.can !== 'yes') return;
  const warned = (code: string): boolean => warnings.some((warning) => warning.code === code);
  await group.stop(placeOf(group, one.name));
  await group.run(3_000);
  check('with one less nobody can sign', warned('no-spare-to-sign'), !signs(group));
  if (prospects.refresh.can !== 'yes') return;
  const stops = warned('no-spare-to-refresh') || warned('no-spare-to-sign');
  check('with one less a refresh waits', stops, !(await refreshes(group)));
}

/** The advice for a refresh that waits must make it complete. */
async function checkAdvice(situation: Situation, check: Check): Promise<void> {
  const group = await arrange(situation);
  const remedy = group.status(1).problems.find(({ code }) => code === 'refresh-will-wait')?.remedy ?? '';
  const [, started] = /Start ([^;]*); it goes on by itself/.exec(remedy) ?? [];
  const [, evicted] = /holdfast evict (.*) --forced/.exec(remedy) ?? [];
  if (started !== undefined) {
    for (const name of started.split(', ')) await group.restart(placeOf(group, name));
    await group.run(8_000);
    check(remedy, true, await refreshes(group));
  } else if (evicted !== undefined) {
    const gone = evicted.split(' ');
    const remaining = headOf(group.state(1)).roster.filter(({ name }) => !gone.includes(name));
    const action: Action = { type: 'force-evict', remaining: remaining.map(({ index }) => index) };
    const done = await decides(group, action);
    await group.run(8_000);
    check(remedy, true, done && (await refreshes(group)));
  }
  await group.stopAll();
}

/** The status must say of an order exactly whether it is carried out. */
async function checkOutlook(situation: Situation, action: Action, check: Check): Promise<void> {
  const group = await arrange(situation);
  const state = group.state(1);
  const members = abilitiesIn(state, new Set(Object.keys(state.volatile.authenticated)));
  const { can } = outlookOf(sceneOf(state, members), [action]);
  const real =
    action.type === 'reinstate'
      ? { ...action, peer: 'peer-9999', epochKey: ed25519FromSeed(group.random(32)).publicKey }
      : action;
  check(`${action.type} is carried out`, can === 'yes', await decides(group, real).catch(refused));
  await group.stopAll();
}

function refused(error: unknown): false {
  if (!(error instanceof ProtocolError)) throw error;
  return false;
}
