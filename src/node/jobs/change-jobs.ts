/**
 * Heavy arithmetic as pure functions of a job, the local cipher and a source of random bytes: run by the worker pool in
 * the daemon and in place by the simulator.
 */

import { open, seal } from '../../cipher/envelope.ts';
import { type CipherName, localCipher } from '../../cipher/local-cipher.ts';
import { mixKeystream } from '../../cipher/mixing.ts';
import { SealError } from '../../cipher/seal-error.ts';
import { ArithmeticError, EncodingError } from '../../crypto/errors.ts';
import { bytesToInteger, decodeSigned, encodeSigned } from '../../crypto/integers.ts';
import { isSealingKey } from '../../crypto/key-agreement.ts';
import { checkCreationShare } from '../../keys/rsa/creation.ts';
import {
  applyDealings,
  checkMaskedShare,
  checkShare,
  checkSubShare,
  checkSubSharesTogether,
  coefficientsFromBytes,
  deal,
  type SubShareCheck,
  subShare,
} from '../../keys/rsa/dealing.ts';
import { trialBlock } from '../../keys/rsa/encoding.ts';
import { blindingBytes } from '../../keys/rsa/engine.ts';
import { areUnits } from '../../keys/rsa/group.ts';
import { proofContext } from '../../keys/rsa/kind.ts';
import {
  coefficientBytes,
  coefficientCount,
  interpolate,
  type KeyPublic,
  type SharingParameters,
} from '../../keys/rsa/sharing.ts';
import {
  combineRobust,
  decodeProof,
  encodeProof,
  nonceBytes,
  type Proof,
  partial,
  prove,
} from '../../keys/rsa/signing.ts';
import type { CheckItem, Job, JobResult, KeySetting } from '../../protocol/machine/io.ts';
import { numberBytes, numberOf } from '../../protocol/records/codec.ts';
import { publicOf } from '../../protocol/records/value.ts';
import { envelopeContext, packNumber, parametersOf, unpackNumber } from '../../sealing/numbers.ts';

export type RandomBytes = (length: number) => Uint8Array;
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

/** Null for what no honest peer can have made. Whatever else goes wrong is no word about a peer: the job fails. */
function falseOrThrow(error: unknown): null {
  if (error instanceof SealError || error instanceof EncodingError) return null;
  throw error;
}

const numbersOf = (list: readonly Uint8Array[]): bigint[] => list.map(numberOf);

/** §3: coefficient bytes are system randomness XOR the local cipher's keystream under a fresh key. */
function freshCoefficients(setting: KeySetting, { cipher, randomBytes }: JobContext): bigint[] {
  const parameters = parametersOf(setting);
  const length = coefficientCount(parameters) * coefficientBytes(parameters);
  const key = randomBytes(localCipher(cipher).keyBytes);
  return coefficientsFromBytes(mixKeystream(cipher, key, randomBytes(length)), parameters);
}

function runDeal(job: Extract<Job, { kind: 'deal' }>, context: JobContext): JobResult {
  const dealings = job.keys.map((setting) => {
    const coefficients = freshCoefficients(setting, context);
    const commitments = deal({ key: publicOf(setting.key), parameters: parametersOf(setting), coefficients });
    return { coefficients, commitments, own: subShare(coefficients, job.dealer) };
  });
  return {
    kind: 'deal',
    commitments: dealings.map(({ commitments }) => commitments.map(numberBytes)),
    coefficients: dealings.map(({ coefficients }) => coefficients.map(encodeSigned)),
    own: dealings.map(({ own }) => encodeSigned(own)),
  };
}

function runSeal(job: Extract<Job, { kind: 'seal' }>, { cipher, randomBytes }: JobContext): JobResult {
  const sealed = job.receivers.map(({ index, sealingKey }) => {
    // Of a sealing key that protects nothing the owner gets nothing.
    if (!isSealingKey(sealingKey)) return { receiver: index, envelopes: [] };
    const envelopes = job.keys.map((setting, at) => {
      const number = subShare((job.coefficients[at] as Uint8Array[]).map(decodeSigned), index);
      return seal({
        cipher,
        receiverKey: sealingKey,
        entropy: randomBytes(32),
        context: envelopeContext({ ...job.tie, receiver: index, key: setting.key.id }),
        plaintext: packNumber(number, parametersOf(setting)),
      });
    });
    return { receiver: index, envelopes };
  });
  return { kind: 'seal', sealed };
}

interface Opened {
  item: CheckItem;
  numbers: bigint[];
}

/** Opens every envelope; a dealing with one that does not open, or with a part missing, is false. */
function openItem(job: Extract<Job, { kind: 'check' }>, item: CheckItem): bigint[] | null {
  if (item.parts.length !== item.envelopes.length) return null;
  try {
    return item.parts.map((part, at) => {
      const context = envelopeContext({
        ...job.tie,
        digest: item.digest,
        sender: item.dealer,
        key: part.setting.key.id,
      });
      const plain = open({
        secretKey: job.sealingSecret,
        context,
        envelope: item.envelopes[at] as Uint8Array,
      });
      return unpackNumber(plain, parametersOf(part.setting));
    });
  } catch (error) {
    return falseOrThrow(error);
  }
}

function checkOf(job: Extract<Job, { kind: 'check' }>, { item, numbers }: Opened, at: number): SubShareCheck {
  const part = item.parts[at] as CheckItem['parts'][number];
  return {
    key: publicOf(part.setting.key),
    parameters: parametersOf(part.setting),
    commitments: numbersOf(part.commitments),
    receiver: job.tie.receiver,
    subShare: numbers[at] as bigint,
  };
}

/**
 * §3: a dealing counts as held after its own check, or one check over several with fresh secret 128-bit weights, single
 * checks only when that fails, to name the culprit.
 */
function runCheck(job: Extract<Job, { kind: 'check' }>, { randomBytes }: JobContext): JobResult {
  const results = job.items.map((item) => ({ item, numbers: openItem(job, item) }));
  const opened = results.filter((result): result is Opened => result.numbers !== null);
  const refused = new Set<CheckItem>();

  for (const one of opened.filter(({ item }) => item.parts[0]?.creation)) {
    const good = one.item.parts.every((_, at) => {
      const { subShare: share, ...rest } = checkOf(job, one, at);
      return checkCreationShare({ ...rest, share });
    });
    if (!good) refused.add(one.item);
  }
  const refreshes = opened.filter(({ item }) => !item.parts[0]?.creation);
  const parts = refreshes[0]?.item.parts.length ?? 0;
  for (let at = 0; at < parts; at += 1) {
    const checks = refreshes.map((one) => checkOf(job, one, at));
    const weights = checks.map(() => bytesToInteger(randomBytes(16)));
    if (checkSubSharesTogether(checks, weights)) continue;
    checks.forEach((single, position) => {
      if (!checkSubShare(single)) refused.add((refreshes[position] as Opened).item);
    });
  }
  return {
    kind: 'check',
    results: results.map(({ item, numbers }) => ({
      digest: item.digest,
      numbers: numbers === null || refused.has(item) ? null : numbers.map(encodeSigned),
    })),
  };
}

/** §3 "Applying": s ← s + Σ i·γ(i), checked against the new v_i before it is stored. */
function runApply(job: Extract<Job, { kind: 'apply' }>): JobResult {
  const shares = job.keys.map(({ setting, commitments, before, created, numbers }) => {
    const share =
      before === null
        ? decodeSigned(created as Uint8Array)
        : applyDealings({
            share: decodeSigned(before),
            index: job.index,
            root: 0,
            subShares: numbers.map(decodeSigned),
          });
    const good = checkShare({
      key: publicOf(setting.key),
      parameters: parametersOf(setting),
      commitments: numbersOf(commitments),
      index: job.index,
      share,
    });
    return good ? encodeSigned(share) : null;
  });
  return {
    kind: 'apply',
    shares: shares.every((share): share is Uint8Array => share !== null) ? shares : null,
  };
}

/** §4.4: this peer's partials of the trial blocks under its new shares, each with its proof. */
function runTrial(job: Extract<Job, { kind: 'trial' }>, { randomBytes }: JobContext): JobResult {
  const trials = job.keys.map(({ setting, share: bytes }) => {
    const key = publicOf(setting.key);
    const parameters = parametersOf(setting);
    const share = decodeSigned(bytes);
    const block = trialBlock(job.value, setting.key.id, key.modulus);
    const made = partial({ key, parameters, share, block, blinding: randomBytes(blindingBytes) });
    const proof = prove({
      key,
      parameters,
      share,
      index: job.index,
      block,
      partial: made,
      context: proofContext(setting.key.id, job.epoch),
      nonceBytes: randomBytes(nonceBytes(parameters)),
      blinding: randomBytes(blindingBytes),
    });
    return { partial: numberBytes(made), proof: encodeProof(proof) };
  });
  return { kind: 'trial', trials };
}

export function proofFromBytes(bytes: Uint8Array): Proof | null {
  try {
    return decodeProof(bytes);
  } catch (error) {
    return falseOrThrow(error);
  }
}

function runCombine(job: Extract<Job, { kind: 'combine-trial' }>): JobResult {
  const culprits = new Set<number>();
  const suspects = new Set<number>();
  const signatures: Uint8Array[] = [];
  job.keys.forEach(({ setting, commitments }, at) => {
    const key = publicOf(setting.key);
    const partials = new Map(
      job.trials.map(({ by, trials }) => {
        const trial = trials[at] as { partial: Uint8Array; proof: Uint8Array };
        return [by, { partial: numberOf(trial.partial), proof: proofFromBytes(trial.proof) }] as const;
      }),
    );
    const result = combineRobust({
      key,
      parameters: parametersOf(setting),
      commitments: numbersOf(commitments),
      block: trialBlock(job.value, setting.key.id, key.modulus),
      partials,
      context: proofContext(setting.key.id, job.epoch),
    });
    for (const culprit of result.culprits) culprits.add(culprit);
    for (const suspect of result.suspects) suspects.add(suspect);
    if (result.signature !== null) signatures.push(numberBytes(result.signature));
  });
  return {
    kind: 'combine-trial',
    signatures: signatures.length === job.keys.length ? signatures : null,
    culprits: [...culprits],
    suspects: [...suspects],
  };
}

/** §5 step 2: the share plus exactly the chosen masks, root r, sealed for r. */
function runSum(job: Extract<Job, { kind: 'sum' }>, { cipher, randomBytes }: JobContext): JobResult {
  const envelopes = job.keys.map((setting, at) => {
    const sum = applyDealings({
      share: decodeSigned(job.shares[at] as Uint8Array),
      index: job.index,
      root: job.root,
      subShares: job.masks.map((numbers) => decodeSigned(numbers[at] as Uint8Array)),
    });
    return seal({
      cipher,
      receiverKey: job.sealingKey,
      entropy: randomBytes(32),
      context: envelopeContext({ ...job.tie, key: setting.key.id }),
      plaintext: packNumber(sum, parametersOf(setting)),
    });
  });
  return { kind: 'sum', envelopes };
}

/** §5 step 3: each sum against v_i and the masks' commitments; f(r) by exact interpolation; the result against v_r. */
function runRecover(job: Extract<Job, { kind: 'recover' }>): JobResult {
  const culprits = new Set<number>();
  // Helpers checked each other's masks, but all of those chosen may lie together.
  const falseMasks = job.sums
    .filter((_, position) => !job.keys.every(({ setting, masks }) => isMask(setting, masks[position])))
    .map(({ by }) => by);
  if (falseMasks.length > 0) return { kind: 'recover', shares: null, culprits: [], falseMasks };
  const shares = job.keys.map(({ setting, commitments, masks }, at) => {
    const key = publicOf(setting.key);
    const parameters = parametersOf(setting);
    const common = { key, parameters, commitments: commitments.map(numberOf) };
    const sums = new Map<number, bigint>();
    for (const { by, envelopes } of job.sums) {
      const sum = openSum(job, setting, by, envelopes[at]);
      const good =
        sum !== null &&
        checkMaskedShare({
          ...common,
          masks: masks.map((list) => list.map(numberOf)),
          index: by,
          root: job.index,
          sum,
        });
      if (good) sums.set(by, sum);
      else culprits.add(by);
    }
    return culprits.size > 0 ? null : interpolateShare(common, sums, job.index);
  });
  const all = shares.every((share): share is Uint8Array => share !== null) ? shares : null;
  return { kind: 'recover', shares: all, culprits: [...culprits], falseMasks };
}

const isMask = (setting: KeySetting, commitments: Uint8Array[] | undefined): boolean =>
  commitments?.length === coefficientCount(parametersOf(setting)) &&
  areUnits(numbersOf(commitments), publicOf(setting.key).modulus);

function interpolateShare(
  common: { key: KeyPublic; parameters: SharingParameters; commitments: bigint[] },
  sums: ReadonlyMap<number, bigint>,
  index: number,
): Uint8Array | null {
  try {
    const share = interpolate(sums, index, common.parameters.membersMax);
    return checkShare({ ...common, index, share }) ? encodeSigned(share) : null;
  } catch (error) {
    if (!(error instanceof ArithmeticError)) throw error;
    return null; // the sums lie on no integer polynomial although each passed: another run, with other helpers, decides
  }
}

function openSum(
  job: Extract<Job, { kind: 'recover' }>,
  setting: KeySetting,
  sender: number,
  envelope: Uint8Array | undefined,
): bigint | null {
  if (envelope === undefined) return null;
  try {
    const context = envelopeContext({ ...job.tie, sender, key: setting.key.id });
    return unpackNumber(open({ secretKey: job.sealingSecret, context, envelope }), parametersOf(setting));
  } catch (error) {
    return falseOrThrow(error);
  }
}
