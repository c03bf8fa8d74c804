/**
 * Checks a peer's audit log. When its daemon runs, the log is compared with the first and last line that the
 * daemon names.
 */
import { type AuditReport, checkAudit } from '../node/audit/check.ts';
import type { Home } from '../node/home/home.ts';
import { ifRunning } from './context.ts';

/**
 * The report on the audit log of `home`. `endKnown` is true when a daemon named the ends of the log. Only
 * then would the check find lines that are missing at the end, or lines that somebody else than the daemon
 * removed at the beginning.
 */
export async function auditReport(home: Home): Promise<AuditReport & { endKnown: boolean }> {
  const asked = () => ifRunning(home, (daemon) => daemon.audit());
  // The daemon is asked before the files are read. So lines that it writes meanwhile are extra lines, not
  // missing ones.
  let extent = await asked();
  for (;;) {
    const report = await checkAudit(home.auditDir, extent);
    const after = await asked();
    // When the daemon removed old lines during the check, the files are checked again with its new answer.
    if (extent === null || after === null || after.firstKept === extent.firstKept)
      return { ...report, endKnown: extent !== null };
    extent = after;
  }
}
