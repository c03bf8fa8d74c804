/**
 * §4.5 retire proofs of the newest epoch that others send. Their signatures are checked as they come. Jobs
 * check the proofs of the keys in them, unless all keys are of quick kinds.
 */
import { isAnyUnderWay, isGivenUp, jobDone } from '../machine/failing-jobs.ts';
import type { Job } from '../machine/io.ts';
import { jobTag } from '../machine/job-tags.ts';
import { areProven, areQuick } from '../machine/key-sums.ts';
import { headHash, headKeys, headLink, headOf, valueQuorum } from '../machine/queries.ts';
import { emitRefusal } from '../machine/refusal.ts';
import type { Work } from '../machine/work.ts';
import { type RetireProof, readySchema } from '../records/change-messages.ts';
import { decode, sameBytes } from '../records/codec.ts';
import { ProtocolError } from '../records/errors.ts';
import { verifyPacket } from '../records/packet.ts';
import { zip } from '../records/present.ts';
import { memberAt } from '../records/roster.ts';

type RetireJob = Extract<Job, { kind: 'judge-retire' }>;

/**
 * Checks a retire proof of the newest epoch from the value alone, all but the proofs of its keys. Throws
 * `bad-ready`.
 * @returns what is left to check
 */
function checkReadys(work: Work, proof: RetireProof): RetireJob {
  const { value } = headLink(work);
  const bad = (why: string): never => {
    throw new ProtocolError('bad-ready', `retire proof of epoch ${proof.epoch}: ${why}`);
  };
  // What costs nothing comes first: of each member one signature is checked.
  if (proof.readys.length < valueQuorum(work, value)) bad('its Readys are no quorum');
  if (proof.proofs.length !== value.keys.length) bad('the proof of a key is missing');
  const said = new Set<number>();
  for (const packet of proof.readys) {
    const message = decode(readySchema, packet.body);
    const member = memberAt(value.roster, message.by);
    if (message.epoch !== value.epoch || !sameBytes(message.value, headHash(work)) || member === undefined)
      return bad('a Ready is for another value');
    if (said.has(message.by)) bad('it shows two Readys of one member');
    if (!verifyPacket(work.clusterId, member.epochKey, packet)) bad('a Ready is not signed');
    said.add(message.by);
  }
  return {
    kind: 'judge-retire',
    cluster: work.clusterId,
    epoch: value.epoch,
    value: headHash(work),
    members: [...said],
    keys: zip(headKeys(work), proof.proofs).map(([{ setting, commitments }, one]) => ({
      setting,
      commitments,
      proof: one,
    })),
  };
}

const falseProof = (epoch: number): ProtocolError =>
  new ProtocolError('bad-ready', `retire proof of epoch ${epoch}: the proof of a key is false`);

/**
 * Takes a retire proof of the newest epoch in. Where all keys are of quick kinds it is checked now, and
 * otherwise by a job. One proof of each peer waits at a time, so no peer has more judged than the others.
 * Throws `bad-ready`.
 */
export function receiveRetireProof(work: Work, from: string, proof: RetireProof): void {
  const { value } = headLink(work);
  if (proof.epoch !== value.epoch || work.durable.retires[proof.epoch] !== undefined) return;
  if (work.volatile.retireProofs[from] !== undefined) return;
  const job = checkReadys(work, proof);
  if (!areQuick(value.keys)) {
    work.volatile.retireProofs = { ...work.volatile.retireProofs, [from]: { proof, job } };
    return;
  }
  if (!areProven(job)) throw falseProof(proof.epoch);
  work.put('retires', proof.epoch, proof);
}

/**
 * Rule `judge-retire`: has waiting retire proofs judged, one after the other as they came, until one is true.
 * A member that was away is sent the same proof by all others.
 */
export function judgeRetire(work: Work): boolean {
  const { epoch } = headOf(work);
  const waiting = Object.entries(work.volatile.retireProofs);
  if (waiting.length > 0 && work.durable.retires[epoch] !== undefined) {
    work.volatile.retireProofs = {};
    return true;
  }
  if (isAnyUnderWay(work, 'judge-retire')) return false;
  return waiting.some(([from, { job }]) => {
    const tag = jobTag({ job: 'judge-retire', epoch, from });
    if (!isGivenUp(work, tag)) return work.compute(tag, job);
    dropRetireProof(work, from); // no worker can judge it; somebody may send another one
    jobDone(work, tag);
    return true;
  });
}

function dropRetireProof(work: Work, from: string): void {
  const { [from]: _, ...others } = work.volatile.retireProofs;
  work.volatile.retireProofs = others;
}

/** A retire proof is judged. A true one becomes durable. The sender of a false one is reproached. */
export function retireJudged(work: Work, epoch: number, from: string, isTrue: boolean): void {
  const judged = work.volatile.retireProofs[from];
  if (judged?.proof.epoch !== epoch) return;
  dropRetireProof(work, from);
  if (!isTrue) return emitRefusal(work, from, falseProof(epoch));
  work.put('retires', epoch, judged.proof);
}
