/** Reports a wrong frame to the driver. The peer that is to blame for it uses up a quota. */
import type { ProtocolError } from '../records/errors.ts';
import { memberAt } from '../records/roster.ts';
import { headOf } from './queries.ts';
import type { Work } from './work.ts';

/**
 * Reports that `from` sent something wrong. When another member signed the wrong part, `from` is not to
 * blame: the part may be right for what `from` knows. So a liar cannot have an honest member blamed for
 * passing on its messages.
 */
export function emitRefusal(work: Work, from: string, error: ProtocolError): void {
  const author = error.culprit === null ? undefined : memberAt(headOf(work).roster, error.culprit);
  const action = author !== undefined && author.peer !== from ? 'ignore' : error.action;
  work.emit({ type: 'refused', from, code: error.code, action, why: error.message });
  if (error.code === 'other-version' && headOf(work).roster.some(({ peer }) => peer === from))
    work.volatile.newerAt = { ...work.volatile.newerAt, [from]: error.message };
}
