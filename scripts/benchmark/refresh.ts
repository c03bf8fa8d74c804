/** One refresh: the work of one peer's workers, envelopes included, beside the exponentiations in it. */

import { bitLength, encodeSigned } from '../../src/crypto/integers.ts';
import { sealingKeyFromSeed } from '../../src/crypto/key-agreement.ts';
import { creationShare } from '../../src/keys/rsa/creation.ts';
import { combineCommitments } from '../../src/keys/rsa/dealing.ts';
import { modPow } from '../../src/keys/rsa/engine.ts';
import { elementBytes, elementOf, encodePublic } from '../../src/keys/rsa/numbers.ts';
import { coefficientBound, delta, subShareBound } from '../../src/keys/rsa/sharing.ts';
import { nonceBytes } from '../../src/keys/rsa/signing.ts';
import { runJob } from '../../src/node/jobs/change-jobs.ts';
import type { CheckItem, Job, JobResult, KeySetting } from '../../src/protocol/machine/io.ts';
import { ms, race, table } from './measure.ts';
import { type Bits, parametersOf, random, sharedKey } from './sample.ts';

interface Size {
  n: number;
  threshold: number;
}

export function benchRefresh(bits: Bits, sizes: readonly Size[]): void {
  table(
    `One refresh of one RSA-${bits} key, milliseconds at each peer; an exponentiation has a ${bits}-bit exponent`,
    [
      ...['', 'deal', 'seal', 'check', 'apply', 'trial', 'all'],
      ...['exponentiations in it', 'measured as exponentiations'],
    ],
    sizes.map((size) => rowOf(bits, size)),
  );
}

type Result<Kind extends JobResult['kind']> = Extract<JobResult, { kind: Kind }>;
const run = <Kind extends JobResult['kind']>(job: Job): Result<Kind> =>
  runJob(job, { cipher: 'aes', randomBytes: random }) as Result<Kind>;

/** Measures peer 1 of `n` peers. It deals to all others, and checks the dealings of all others. */
function rowOf(bits: Bits, { n, threshold }: Size): string[] {
  const parameters = parametersOf(bits, threshold);
  const creation = sharedKey(bits, threshold);
  const { modulus, base } = creation.public;
  const setting: KeySetting = {
    key: {
      id: random(32),
      name: 'ca',
      kind: 'rsa',
      use: 'sign',
      public: encodePublic(creation.public),
      creation: null,
    },
    threshold,
    membersMax: parameters.membersMax,
  };
  const tie = { cluster: random(32), epoch: 2, plan: random(32) };
  const digest = random(32);
  const indices = Array.from({ length: n }, (_, at) => at + 1);
  const sealingKeys = indices.map((index) => ({ index, ...sealingKeyFromSeed(random(32)) }));
  const [self, ...others] = sealingKeys;
  if (self === undefined) throw new Error('a group has members');

  const deal = (dealer: number) =>
    run<'deal'>({ kind: 'deal', cluster: tie.cluster, plan: tie.plan, keys: [setting], dealer });
  const partOf = ({ parts: [part] }: Result<'deal'>) => {
    if (part === undefined) throw new Error('a dealing of one key has one part');
    return part;
  };
  const seal = (dealer: number, dealt: Result<'deal'>, receivers: typeof others) =>
    run<'seal'>({
      kind: 'seal',
      keys: [{ setting, coefficients: partOf(dealt).coefficients }],
      tie: { ...tie, digest, sender: dealer },
      receivers: receivers.map(({ index, publicKey }) => ({ index, sealingKey: publicKey })),
    });
  const own = deal(self.index);
  const received = others.map(({ index }) => ({ index, dealt: deal(index) }));
  const items: CheckItem[] = received.map(({ index, dealt }) => ({
    digest,
    dealer: index,
    parts: (seal(index, dealt, [self]).sealed[0]?.envelopes ?? []).map((envelope) => ({
      setting,
      commitments: partOf(dealt).commitments,
      key: setting.key.id,
      ...{ creation: false, joint: false },
      envelope,
    })),
  }));
  const checkJob: Job = {
    kind: 'check',
    tie: { ...tie, receiver: self.index },
    sealingSecret: self.secretKey,
    items,
  };
  const numbers = [[partOf(own).own], ...run<'check'>(checkJob).results.map((result) => result.numbers)].map(
    (list) => {
      if (list?.[0] === undefined) throw new Error('a sample dealing was refused');
      return list[0];
    },
  );
  const lists = [own, ...received.map(({ dealt }) => dealt)].map((dealt) => partOf(dealt).commitments);
  const commitments = combineCommitments(
    [creation.commitments, ...lists.map((list) => list.map(elementOf))],
    creation.public,
  ).map(elementBytes);
  const before = encodeSigned(creationShare(creation, self.index));
  const applyJob: Job = {
    kind: 'apply',
    index: self.index,
    keys: [{ setting, commitments, before, created: null, joint: false, numbers }],
  };
  const share = run<'apply'>(applyJob).shares?.[0];
  if (share === undefined) throw new Error('the sample share was refused');
  const trialJob: Job = {
    kind: 'trial',
    cluster: tie.cluster,
    index: self.index,
    epoch: tie.epoch,
    value: digest,
    keys: [{ setting, share }],
  };
  const block = elementOf(elementBytes(base));
  const found = race(n > 10 ? 8 : 15, {
    exponentiation: () => modPow(block, modulus - 2n, modulus),
    deal: () => deal(self.index),
    seal: () => seal(self.index, own, others),
    check: () => run(checkJob),
    apply: () => run(applyJob),
    trial: () => run(trialJob),
  });
  const all = found.deal + found.seal + found.check + found.apply + found.trial;
  // The exponents. deal: t commitments. check: Σ w·g, and one 128-bit weight for each dealing. apply: v^s.
  // trial: the partial, and for its proof two announcements and v^s.
  const shareBits = 8 * share.length;
  const exponentBits =
    (threshold - 1) * bitLength(coefficientBound(parameters)) +
    (bitLength(subShareBound(parameters, self.index)) + 128 + (n - 1) * 128) +
    shareBits +
    (shareBits + bitLength(delta(parameters.membersMax)) + 2 * 8 * nonceBytes(parameters) + shareBits);
  return [
    `${threshold} of ${n}`,
    ...[found.deal, found.seal, found.check, found.apply, found.trial, all].map(ms),
    (exponentBits / bits).toFixed(1),
    (all / found.exponentiation).toFixed(1),
  ];
}
