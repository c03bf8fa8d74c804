/**
 * The arithmetic of using a key (protocol §2 "Use"), as pure functions for the worker pool. What it is, the
 * kind knows.
 */
import assert from 'node:assert/strict';
import type { Combined, GivenPartial, Operation, UseStatement } from '../../keys/kind/operation.ts';
import { kindNamed } from '../../keys/kinds.ts';
import type { KeySetting } from '../../protocol/machine/io.ts';
import { settingForKind } from '../../protocol/machine/shared-keys.ts';
import type { UseRequestBody } from '../../protocol/records/use-request.ts';
import { sealPartial } from '../../sealing/partials.ts';
import type { JobContext } from './change-jobs.ts';

/** A partial, or a nonce commitment, by the member that gave it. */
interface By {
  by: number;
}
export type PartialBy = By & GivenPartial;
export type CommitmentBy = By & { commitment: Uint8Array };

export type UseJob =
  | {
      kind: 'use-partial';
      setting: KeySetting;
      share: Uint8Array;
      index: number;
      epoch: number;
      body: UseRequestBody;
      prove: boolean;
      /** Of a use with two rounds. The nonces are erased by the job. */
      session: { nonces: Uint8Array; commitments: CommitmentBy[] } | null;
    }
  | {
      kind: 'use-combine';
      setting: KeySetting;
      commitments: Uint8Array[];
      epoch: number;
      body: UseRequestBody;
      partials: PartialBy[];
      /** Those of a combination that failed before. */
      failed: PartialBy[];
      session: CommitmentBy[] | null;
    };

export type UseJobResult =
  | ({ kind: 'use-partial' } & GivenPartial)
  /** The second round names something that is no nonce commitment. */
  | { kind: 'use-wrong-session' }
  /** The partial of a decryption, for the client's eyes only. */
  | { kind: 'use-sealed-partial'; envelope: Uint8Array }
  | ({ kind: 'use-combine' } & Combined);

/** What moves to the worker instead of being copied: this thread keeps no nonces. */
export const movedWith = (job: UseJob): ArrayBuffer[] =>
  job.kind === 'use-partial' && job.session !== null ? [job.session.nonces.buffer as ArrayBuffer] : [];

/** Which operation of which kind, and what its partials are bound to. */
function read({ setting, epoch, body }: Pick<UseJob, 'setting' | 'epoch' | 'body'>): {
  operation: Operation;
  statement: UseStatement;
} {
  const { key } = setting;
  const operation = kindNamed(key.kind).operations[body.operation];
  assert(operation !== undefined, 'a request was checked before its job');
  return {
    operation,
    statement: { setting: settingForKind(setting), key: key.id, epoch, asked: body.asked },
  };
}

const commitmentsIn = (given: readonly CommitmentBy[]): Map<number, Uint8Array> =>
  new Map(given.map(({ by, commitment }) => [by, commitment]));
const partialsIn = (given: readonly PartialBy[]): Map<number, GivenPartial> =>
  new Map(given.map(({ by, partial, proof }) => [by, { partial, proof }]));

export function runUseJob(job: UseJob, context: JobContext): UseJobResult {
  return job.kind === 'use-partial' ? runPartial(job, context) : runCombine(job);
}

function runPartial(
  job: Extract<UseJob, { kind: 'use-partial' }>,
  { cipher, randomBytes }: JobContext,
): UseJobResult {
  const { share, index, prove, session, body, epoch } = job;
  const { operation, statement } = read(job);
  const { nonces } = operation;
  try {
    const isCommitment = ({ commitment }: CommitmentBy): boolean =>
      nonces?.isCommitment(statement.setting, commitment) === true;
    if (session !== null && !session.commitments.every(isCommitment)) return { kind: 'use-wrong-session' };
    const together = session && { ...session, commitments: commitmentsIn(session.commitments) };
    const given = operation.partial({ statement, share, index, prove, randomBytes, session: together });
    if (body.operation === 'sign') return { kind: 'use-partial', ...given };
    const tie = { body, epoch, index };
    return {
      kind: 'use-sealed-partial',
      envelope: sealPartial({ tie, cipher, entropy: randomBytes(32), given }),
    };
  } finally {
    session?.nonces.fill(0);
  }
}

function runCombine(job: Extract<UseJob, { kind: 'use-combine' }>): UseJobResult {
  const { commitments, partials, failed, session } = job;
  const { operation, statement } = read(job);
  const combined = operation.combine({
    ...{ statement, commitments },
    partials: partialsIn(partials),
    failed: partialsIn(failed),
    session: session && commitmentsIn(session),
  });
  return { kind: 'use-combine', ...combined };
}
