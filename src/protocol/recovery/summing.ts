/**
 * §5 step 2, at the chosen helpers. Each accepts one choice in a run, and sends one sum of its share and the
 * `k` masks.
 */

import { sendRecovery, signRecoveryMessage } from '../change/recovery-sending.ts';
import type { JobResult } from '../machine/io.ts';
import { jobTag, type OfRun } from '../machine/job-tags.ts';
import { headOf, headSettings, selfIn } from '../machine/queries.ts';
import type { Helping } from '../machine/recovery-state.ts';
import type { Work } from '../machine/work.ts';
import { decode, encode, hex, sameBytes } from '../records/codec.ts';
import { ProtocolError } from '../records/errors.ts';
import { type Packet, verifyPacket } from '../records/packet.ts';
import { present } from '../records/present.ts';
import { acceptSchema, hashOfChoice, type Of } from '../records/recovery-messages.ts';
import { memberAt } from '../records/roster.ts';
import { change, helpingOf } from './helping.ts';

/**
 * Takes the choice of the member that recovers: exactly `k` helpers that hold each other's masks, this member
 * among them. The first choice of a run binds, and this member accepts it. It gives its sum only when it is
 * shown that all `k` helpers have accepted that very choice. Otherwise the member that recovers could give
 * each helper another choice, and take the masks out of their sums (protocol §5.2).
 * @throws ProtocolError `bad-recovery`
 */
export function receiveChoice(
  work: Work<'recover-accept'>,
  message: Of<'recover-choice'>,
  accepts: readonly Packet[],
): void {
  const helping = work.volatile.recovery.helping[message.by];
  if (helping === undefined || !sameBytes(helping.run, message.run)) return;
  if (helping.choice === null) {
    if (!checkChoice(work, helping, message)) return;
    change(work, helping, { choice: message });
    work.rule('recover-accept', { epoch: helping.epoch, for: helping.recoverer });
  } else if (!sameBytes(choiceName(helping.choice), choiceName(message))) return;
  if (helping.sum !== null) return sendRecovery(work, message.by, helping.sum);
  if (accepts.length === 0) return accept(work, message);
  checkAccepts(work, message, accepts);
  sum(work, message);
}

/** Checks a choice. False when it does not name this member. @throws ProtocolError `bad-recovery` */
function checkChoice(work: Work, helping: Helping, { by, helpers }: Of<'recover-choice'>): boolean {
  const { threshold } = headOf(work);
  const self = selfIn(work);
  if (helpers.length !== threshold || new Set(helpers.map(({ index }) => index)).size !== threshold)
    throw bad('a choice must name k different helpers', by);
  if (self === undefined || !helpers.some(({ index }) => index === self.index)) return false;
  for (const { index, digest } of helpers)
    if (helping.masks[index]?.digest !== hex(digest))
      throw bad('a choice names a mask that this member does not hold', by);
  return true;
}

const bad = (why: string, culprit: number): ProtocolError =>
  new ProtocolError('bad-recovery', why, { culprit });

/** Signs the accept anew each time that it is asked for. The bytes are the same. */
function accept(work: Work, message: Of<'recover-choice'>): void {
  const { epoch, run } = message;
  const choice = choiceName(message);
  const packet = signRecoveryMessage(work, (by) => ({
    v: 1,
    type: 'recover-accept',
    by,
    epoch,
    run,
    choice,
  }));
  if (packet !== null) sendRecovery(work, message.by, packet);
}

/**
 * Checks that exactly the chosen helpers have accepted this choice, each with its own signature.
 * @throws ProtocolError `bad-recovery`
 */
function checkAccepts(work: Work, message: Of<'recover-choice'>, accepts: readonly Packet[]): void {
  const missing = new Set(message.helpers.map(({ index }) => index));
  const choice = choiceName(message);
  for (const packet of accepts) {
    const said = decode(acceptSchema, packet.body);
    const member = memberAt(headOf(work).roster, said.by);
    if (
      !missing.delete(said.by) ||
      member === undefined ||
      said.epoch !== message.epoch ||
      !sameBytes(said.run, message.run) ||
      !sameBytes(said.choice, choice) ||
      !verifyPacket(work.clusterId, member.epochKey, packet)
    )
      throw bad('a helper did not accept this choice', message.by);
  }
  if (missing.size > 0) throw bad('not every helper accepted this choice', message.by);
}

function sum(work: Work, message: Of<'recover-choice'>): void {
  const helping = work.volatile.recovery.helping[message.by];
  const self = selfIn(work);
  if (helping === undefined || self === undefined) return;
  const head = headOf(work);
  const shares = work.durable.shares[head.epoch] ?? {};
  work.compute(jobTag({ job: 'sum', recoverer: message.by, run: hex(message.run) }), {
    kind: 'sum',
    keys: headSettings(work).map((setting, at) => ({
      setting,
      share: present(shares[hex(setting.key.id)], 'a share of each key'),
      numbers: message.helpers.map(({ index }) =>
        present(helping.masks[index]?.numbers[at], 'a number of each key in the mask of each chosen helper'),
      ),
    })),
    index: self.index,
    root: message.by,
    sealingKey: helping.sealingKey,
    tie: {
      cluster: work.clusterId,
      epoch: head.epoch,
      plan: helping.run,
      digest: choiceName(message),
      sender: self.index,
      receiver: message.by,
    },
  });
}

/** The hash that accepts and sums are tied to: of the chosen masks, with their dealers. */
export const choiceName = ({ helpers }: Pick<Of<'recover-choice'>, 'helpers'>): Uint8Array =>
  hashOfChoice(encode(helpers));

/** Keeps and sends the one sum of this run. A later request gets the same bytes. */
export function summed(
  work: Work<'recover-sum'>,
  about: OfRun,
  result: Extract<JobResult, { kind: 'sum' }>,
): void {
  const helping = helpingOf(work, about);
  if (helping?.choice == null || helping.sum !== null) return;
  const choice = choiceName(helping.choice);
  const packet = signRecoveryMessage(work, (by) => ({
    v: 1,
    type: 'recover-sum',
    by,
    epoch: helping.epoch,
    run: helping.run,
    choice,
    envelopes: result.envelopes,
  }));
  if (packet === null) return;
  change(work, helping, { sum: packet });
  sendRecovery(work, helping.recoverer, packet);
  work.rule('recover-sum', { epoch: helping.epoch, for: helping.recoverer });
}
