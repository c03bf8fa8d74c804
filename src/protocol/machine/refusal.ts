/**
 * What is wrong with something that arrived, told to the driver: whoever is to blame for it uses up a quota.
 */
import type { ProtocolError } from '../records/errors.ts';
import { memberAt } from '../records/roster.ts';
import { headOf } from './queries.ts';
import type { Work } from './work.ts';

/**
 * What another one signed is no fault of whoever passed it on: it may have been right where that one kept it.
 * So nobody has an honest member reproached by giving it something to pass on.
 */
export function emitRefusal(work: Work, from: string, error: ProtocolError): void {
  const author = error.culprit === null ? undefined : memberAt(headOf(work).roster, error.culprit);
  const action = author !== undefined && author.peer !== from ? 'ignore' : error.action;
  work.emit({ type: 'refused', from, code: error.code, action, why: error.message });
}
