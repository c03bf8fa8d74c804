/** The check of a peer's audit log, against where its daemon says that it begins and ends, if one runs. */
import { type AuditReport, checkAudit } from '../node/audit/check.ts';
import type { Home } from '../node/home/home.ts';
import { ifRunning } from './context.ts';

/** `endKnown`: whether lines missing at the end, or pruned by another than the daemon, would have been found. */
export async function auditReport(home: Home): Promise<AuditReport & { endKnown: boolean }> {
  const asked = () => ifRunning(home, (daemon) => daemon.audit());
  // First, so that what is written meanwhile is more than was promised.
  let extent = await asked();
  for (;;) {
    const report = await checkAudit(home.auditDir, extent);
    const after = await asked();
    // The daemon pruned while the files were read: they are held against what it says now.
    if (extent === null || after === null || after.firstKept === extent.firstKept)
      return { ...report, endKnown: extent !== null };
    extent = after;
  }
}
