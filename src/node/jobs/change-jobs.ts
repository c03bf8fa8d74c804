/**
 * Heavy arithmetic as pure functions of a job, the local cipher and a source of random bytes: run by the worker pool in
 * the daemon and in place by the simulator.
 */

import { type CipherName, localCipher } from '../../cipher/local-cipher.ts';
import { mixKeystream } from '../../cipher/mixing.ts';
import { isSealingKey } from '../../crypto/key-agreement.ts';
import type { NumberCoding, RandomBytes, TrialStatement } from '../../keys/kind/shared-key.ts';
import type { CheckItem, DealtPart, Job, JobResult, KeySetting } from '../../protocol/machine/io.ts';
import { areProven, sumKeys } from '../../protocol/machine/key-sums.ts';
import { jointCreationOf, sharedKeyOf } from '../../protocol/machine/shared-keys.ts';
import { dealingPublicSchema } from '../../protocol/records/change-messages.ts';
import { decode } from '../../protocol/records/codec.ts';
import { present, zip } from '../../protocol/records/present.ts';
import { isUnmade } from '../../protocol/records/value.ts';
import { openNumber, sealNumber } from '../../sealing/numbers.ts';

export interface JobContext {
  /** The local cipher of this peer. */
  cipher: CipherName;
  randomBytes: RandomBytes;
}

export function runJob(job: Job, context: JobContext): JobResult {
  switch (job.kind) {
    case 'deal':
      return runDeal(job, context);
    case 'seal':
      return runSeal(job, context);
    case 'check':
      return runCheck(job, context);
    case 'judge-parts':
      return runJudgeParts(job);
    case 'sum-keys':
      return runSumKeys(job);
    case 'judge-retire':
      return { kind: 'judge-retire', isTrue: areProven(job) };
    case 'apply':
      return runApply(job);
    case 'trial':
      return runTrial(job, context);
    case 'combine-trial':
      return runCombine(job);
    case 'sum':
      return runSum(job, context);
    case 'recover':
      return runRecover(job);
  }
}

/** §3: coefficient bytes are system randomness XOR the local cipher's keystream under a fresh key. */
function freshBytes(length: number, { cipher, randomBytes }: JobContext): Uint8Array {
  const key = randomBytes(localCipher(cipher).keyBytes);
  return mixKeystream(cipher, key, randomBytes(length));
}

function runDeal(job: Extract<Job, { kind: 'deal' }>, context: JobContext): JobResult {
  const parts = job.keys.map((setting): DealtPart => {
    if (isUnmade(setting.key)) return createdPart(job, setting, context);
    const shared = sharedKeyOf(setting);
    const coefficients = shared.coefficientsFrom(freshBytes(shared.coefficientBytes, context));
    return {
      coefficients,
      commitments: shared.commit(coefficients),
      own: shared.subShare(coefficients, job.dealer),
      possession: null,
    };
  });
  return { kind: 'deal', parts };
}

/** This member's part of a key that all create together. */
function createdPart(
  { cluster, plan, dealer }: Extract<Job, { kind: 'deal' }>,
  { key, threshold }: KeySetting,
  context: JobContext,
): DealtPart {
  const joint = jointCreationOf(key.kind);
  const bytes = freshBytes(joint.coefficientBytes(threshold), context);
  const coefficients = joint.coefficientsFrom(bytes, threshold);
  const statement = { cluster, plan, creation: key.id, dealer };
  return {
    coefficients,
    commitments: joint.commit(coefficients),
    own: joint.number(coefficients, dealer),
    possession: joint.possession({ statement, coefficients, randomBytes: context.randomBytes }),
  };
}

function runSeal(job: Extract<Job, { kind: 'seal' }>, { cipher, randomBytes }: JobContext): JobResult {
  const sealed = job.receivers.map(({ index, sealingKey }) => {
    // Of a sealing key that protects nothing the owner gets nothing.
    if (!isSealingKey(sealingKey)) return { receiver: index, envelopes: [] };
    const envelopes = job.keys.map(({ setting, coefficients }) => {
      const { coding, number } = numberFor(index, setting, coefficients);
      const tie = { ...job.tie, receiver: index, key: setting.key.id };
      return sealNumber({ coding, tie, cipher, receiverKey: sealingKey, entropy: randomBytes(32), number });
    });
    return { receiver: index, envelopes };
  });
  return { kind: 'seal', sealed };
}

/** What a dealing has for one receiver, and how it lies in an envelope. */
function numberFor(
  receiver: number,
  setting: KeySetting,
  coefficients: readonly Uint8Array[],
): { coding: NumberCoding; number: Uint8Array } {
  if (isUnmade(setting.key)) {
    const joint = jointCreationOf(setting.key.kind);
    return { coding: joint, number: joint.number(coefficients, receiver) };
  }
  const shared = sharedKeyOf(setting);
  return { coding: shared, number: shared.subShare(coefficients, receiver) };
}

interface Opened {
  item: CheckItem;
  /** For each part. */
  numbers: Uint8Array[];
}

/** Opens every envelope; a dealing with one that does not open is false. */
function openItem(job: Extract<Job, { kind: 'check' }>, item: CheckItem): Uint8Array[] | null {
  const numbers: Uint8Array[] = [];
  for (const { setting, key, joint, envelope } of item.parts) {
    const number = openNumber({
      coding: joint ? jointCreationOf(setting.key.kind) : sharedKeyOf(setting),
      tie: { ...job.tie, digest: item.digest, sender: item.dealer, key },
      secretKey: job.sealingSecret,
      envelope,
    });
    if (number === null) return null;
    numbers.push(number);
  }
  return numbers;
}

/**
 * §3: a dealing counts as held after its own check, or one check over several with fresh secret weights, single
 * checks only when that fails, to name the culprit.
 */
function runCheck(job: Extract<Job, { kind: 'check' }>, { randomBytes }: JobContext): JobResult {
  const results = job.items.map((item) => ({ item, numbers: openItem(job, item) }));
  const opened = results.filter((result): result is Opened => result.numbers !== null);
  const { receiver } = job.tie;
  const refused = new Set<CheckItem>();
  const isCreation = ({ item }: Opened): boolean => item.parts[0]?.creation === true;
  for (const { item, numbers } of opened.filter(isCreation)) {
    const good = zip(item.parts, numbers).every(([{ setting, commitments }, subShare]) =>
      sharedKeyOf(setting).checkFirstShare({ commitments, subShare }, receiver),
    );
    if (!good) refused.add(item);
  }
  // Every dealing of a plan covers the same keys in one order.
  const refreshes = opened.filter((one) => !isCreation(one));
  refreshes[0]?.item.parts.forEach(({ setting, joint }, at) => {
    const checks = refreshes.flatMap(({ item, numbers }) => {
      const [commitments, subShare] = [item.parts[at]?.commitments, numbers[at]];
      return commitments === undefined || subShare === undefined ? [] : [{ item, commitments, subShare }];
    });
    const good = joint
      ? checks.map(({ commitments, subShare }) =>
          jointCreationOf(setting.key.kind).checkNumber(commitments, receiver, subShare),
        )
      : sharedKeyOf(setting).checkSubShares(checks, receiver, randomBytes);
    for (const [{ item }, isTrue] of zip(checks, good)) if (!isTrue) refused.add(item);
  });
  return {
    kind: 'check',
    results: results.map(({ item, numbers }) => ({
      digest: item.digest,
      numbers: refused.has(item) ? null : numbers,
    })),
  };
}

/**
 * §4 "Joint creation": a dealer that proves no knowledge of its constant term could make the key its own
 * (Pedersen 1991).
 */
function runJudgeParts(job: Extract<Job, { kind: 'judge-parts' }>): JobResult {
  const { cluster, plan, dealer, threshold } = job;
  const isTrue = job.parts.every(({ kind, creation, commitments, possession }) =>
    jointCreationOf(kind).checkPart({
      statement: { cluster, plan, creation, dealer },
      threshold,
      commitments,
      possession,
    }),
  );
  return { kind: 'judge-parts', isTrue };
}

/** §4.3: what a value's accepted dealings make of the keys. */
function runSumKeys({ keys, halves }: Extract<Job, { kind: 'sum-keys' }>): JobResult {
  const read = halves.map((bytes) => decode(dealingPublicSchema, bytes));
  return { kind: 'sum-keys', sums: sumKeys(keys, read) };
}

/** §3 "Applying": s ← s + Σ i·γ(i), checked against the new v_i before it is stored. */
function runApply(job: Extract<Job, { kind: 'apply' }>): JobResult {
  const { index } = job;
  const shares = job.keys.map(({ setting, commitments, before, created, joint, numbers }) => {
    const shared = sharedKeyOf(setting);
    const share = joint
      ? jointCreationOf(setting.key.kind).sum(numbers)
      : before === null
        ? present(created, 'the first share of a new key')
        : shared.applyDealings({ share: before, index, root: 0, subShares: numbers });
    return shared.checkShare(commitments, index, share) ? share : null;
  });
  return {
    kind: 'apply',
    shares: shares.every((share): share is Uint8Array => share !== null) ? shares : null,
  };
}

const statementOf = (
  { cluster, epoch, value }: { cluster: Uint8Array; epoch: number; value: Uint8Array },
  { key }: KeySetting,
): TrialStatement => ({ cluster, epoch, value, key: key.id });

/** §4.4: what this peer shows for its new shares. */
function runTrial(job: Extract<Job, { kind: 'trial' }>, { randomBytes }: JobContext): JobResult {
  const trials = job.keys.map(({ setting, share }) =>
    sharedKeyOf(setting).trial({
      statement: statementOf(job, setting),
      index: job.index,
      share,
      randomBytes,
    }),
  );
  return { kind: 'trial', trials };
}

function runCombine(job: Extract<Job, { kind: 'combine-trial' }>): JobResult {
  const combined = combineWithout(job, new Set());
  if (combined.culprits.length === 0) return combined;
  // A proof is of the trials that it was made of, and every key's proof must be of the same members.
  return { ...combineWithout(job, new Set(combined.culprits)), culprits: combined.culprits };
}

function combineWithout(
  job: Extract<Job, { kind: 'combine-trial' }>,
  left: ReadonlySet<number>,
): Extract<JobResult, { kind: 'combine-trial' }> {
  const culprits = new Set<number>();
  const suspects = new Set<number>();
  const proofs: Uint8Array[] = [];
  for (const { setting, commitments, trials } of job.keys) {
    const kept = trials.filter(({ by }) => !left.has(by));
    const result = sharedKeyOf(setting).combineTrials({
      statement: statementOf(job, setting),
      commitments,
      trials: new Map(kept.map(({ by, trial }) => [by, trial])),
    });
    for (const culprit of result.culprits) culprits.add(culprit);
    for (const suspect of result.suspects) suspects.add(suspect);
    if (result.proof !== null) proofs.push(result.proof);
  }
  return {
    kind: 'combine-trial',
    proofs: proofs.length === job.keys.length ? proofs : null,
    members: job.members.filter((by) => !left.has(by)),
    culprits: [...culprits],
    suspects: [...suspects],
  };
}

/** §5 step 2: the share plus exactly the chosen masks, root r, sealed for r. */
function runSum(job: Extract<Job, { kind: 'sum' }>, { cipher, randomBytes }: JobContext): JobResult {
  const { index, root } = job;
  const envelopes = job.keys.map(({ setting, share, numbers }) => {
    const shared = sharedKeyOf(setting);
    return sealNumber({
      coding: shared,
      tie: { ...job.tie, key: setting.key.id },
      cipher,
      receiverKey: job.sealingKey,
      entropy: randomBytes(32),
      number: shared.applyDealings({ share, index, root, subShares: numbers }),
    });
  });
  return { kind: 'sum', envelopes };
}

/** §5 step 3: each sum against v_i and the masks' commitments; f(r) by interpolation; the result against v_r. */
function runRecover(job: Extract<Job, { kind: 'recover' }>): JobResult {
  const { index: root, sealingSecret: secretKey } = job;
  const culprits = new Set<number>();
  const falseMasks = new Set<number>();
  // Helpers checked each other's masks, but all of those chosen may lie together.
  for (const { setting, sums } of job.keys)
    for (const { by, mask } of sums) if (!sharedKeyOf(setting).isDealing(mask)) falseMasks.add(by);
  if (falseMasks.size > 0)
    return { kind: 'recover', shares: null, culprits: [], falseMasks: [...falseMasks] };
  const shares = job.keys.map(({ setting, commitments, sums }) => {
    const shared = sharedKeyOf(setting);
    const masks = sums.map(({ mask }) => mask);
    const found = new Map<number, Uint8Array>();
    for (const { by, envelope } of sums) {
      const tie = { ...job.tie, sender: by, key: setting.key.id };
      const sum = openNumber({ coding: shared, tie, secretKey, envelope });
      if (sum !== null && shared.checkMaskedShare({ commitments, masks, index: by, root, sum }))
        found.set(by, sum);
      else culprits.add(by);
    }
    if (culprits.size > 0) return null;
    // When all pass and still lie on no polynomial, another run with other helpers decides.
    const share = shared.interpolate(found, root);
    return share !== null && shared.checkShare(commitments, root, share) ? share : null;
  });
  const all = shares.every((share): share is Uint8Array => share !== null) ? shares : null;
  return { kind: 'recover', shares: all, culprits: [...culprits], falseMasks: [] };
}
