/** Lies about dealings (protocol §3, §4.2). */

import { decodeSigned, encodeSigned } from '../../crypto/integers.ts';
import { elementBytes, elementOf } from '../../keys/rsa/numbers.ts';
import { parametersOf, publicOf } from '../../keys/rsa/setting.ts';
import { coefficientBound, type SharingParameters } from '../../keys/rsa/sharing.ts';
import type { DealtPart, Job, JobResult } from '../../protocol/machine/io.ts';
import { dealingPublicSchema } from '../../protocol/records/change-messages.ts';
import { decode, encode, hex } from '../../protocol/records/codec.ts';
import { zip } from '../../protocol/records/present.ts';
import { isUnmade, type KeyRecord, operatorDealer } from '../../protocol/records/value.ts';
import { honestVictim, type Liar, type Lie } from './liar.ts';

type SealJob = Extract<Job, { kind: 'seal' }>;
type DealResult = Extract<JobResult, { kind: 'deal' }>;

/** Seals false numbers for some receivers. A changed constant term of γ changes every number. */
const sealing =
  (
    chosen: (liar: Liar, receiver: number, job: SealJob) => boolean,
    change: (constant: bigint, liar: Liar, job: SealJob) => bigint,
  ): NonNullable<Lie['job']> =>
  (liar, job, run) => {
    if (job.kind !== 'seal' || job.keys.length === 0) return null;
    const receivers = job.receivers.filter(({ index }) => chosen(liar, index, job));
    if (receivers.length === 0) return null;
    const keys = job.keys.map(({ setting, coefficients: list }) => ({
      setting,
      coefficients: list.map((bytes, m) =>
        m > 0
          ? bytes
          : isRsa(setting.key)
            ? encodeSigned(change(decodeSigned(bytes), liar, job))
            : bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte)),
      ),
    }));
    const honest = run({ ...job, receivers: job.receivers.filter((each) => !receivers.includes(each)) });
    const bent = run({ ...job, keys, receivers });
    if (honest.kind !== 'seal' || bent.kind !== 'seal') return null;
    return { kind: 'seal', sealed: [...honest.sealed, ...bent.sealed] };
  };

/** Publishes commitments that do not belong to the coefficients. */
const publishing =
  (change: (commitments: Uint8Array[], modulus: bigint) => Uint8Array[]): NonNullable<Lie['job']> =>
  (_liar, job, run) => {
    if (job.kind !== 'deal' || job.keys.length === 0) return null;
    const result = run(job) as DealResult;
    const parts = zip(job.keys, result.parts).map(([{ key }, part]) => ({
      ...part,
      commitments: isRsa(key) ? change(part.commitments, publicOf(key.public).modulus) : part.commitments,
    }));
    return { ...result, parts };
  };

const arithmeticIn = ({ keys: [first] }: SealJob): SharingParameters => {
  // The first key is the sample key, an RSA key.
  const { key, threshold, membersMax } = (first as SealJob['keys'][number]).setting;
  return parametersOf({ public: key.public, threshold, membersMax });
};

/** Changes the dealer's part of each key that the members create together. */
const creating =
  (change: (part: DealtPart) => DealtPart): NonNullable<Lie['job']> =>
  (_liar, job, run) => {
    if (job.kind !== 'deal' || !job.keys.some(({ key }) => isUnmade(key))) return null;
    const result = run(job) as DealResult;
    const parts = zip(job.keys, result.parts).map(([{ key }, part]) => (isUnmade(key) ? change(part) : part));
    return { ...result, parts };
  };

const isRsa = ({ kind }: KeyRecord): boolean => kind === 'rsa';

const oneVictim = (liar: Liar) => 1 + (liar.world.options.seed % liar.world.peers.length);

export const dealingLies = {
  /**
   * For a key that the members create together: a part without proof of possession. The next lies give a
   * false proof, or replace the commitment to the constant by another one.
   */
  'part-without-proof': { job: creating((part) => ({ ...part, possession: null })) },
  'part-with-false-proof': {
    job: creating(({ possession, ...part }) => ({
      ...part,
      possession: possession?.map((byte, at) => (at === 40 ? byte ^ 1 : byte)) ?? null,
    })),
  },
  'part-with-another-constant': {
    job: creating(({ commitments: [first, second, ...rest], ...part }) => ({
      ...part,
      commitments: [second ?? first, second ?? first, ...rest].filter((each) => each !== undefined),
    })),
  },
  'false-sub-share-to-all': {
    job: sealing(
      () => true,
      (constant) => constant + 1n,
    ),
  },
  'false-sub-share-to-some': {
    job: sealing(
      (liar, receiver) => liar.tells(liar.world.peerAt(receiver)),
      (constant, liar) => constant + BigInt(1 + Math.floor(liar.random() * 1e6)),
    ),
  },
  'false-sub-share-to-one': {
    job: sealing(
      (liar, receiver) => receiver === oneVictim(liar),
      (constant) => constant - 1n,
    ),
  },
  /** The first liar adds a number, and the second takes it away, for every receiver. */
  'errors-that-cancel': {
    job: sealing(
      () => true,
      (constant, liar) => constant + (liar.order % 2 === 0 ? 12345n : -12345n),
    ),
  },
  'negative-number': {
    job: sealing(
      () => true,
      (constant) => -constant,
    ),
  },
  'number-out-of-range': {
    job: sealing(
      (liar) => liar.chance(0.7),
      (constant, _liar, job) => constant + (coefficientBound(arithmeticIn(job)) << 24n),
    ),
  },
  /**
   * The changed element is another one in Z_N*. In Z_N*∕{±1}, where every equation is taken, it is the same
   * (§2).
   */
  'flipped-sign': {
    job: publishing((list, modulus) =>
      list.map((c, m) => (m === 0 ? elementBytes(modulus - elementOf(c)) : c)),
    ),
  },
  'too-few-commitments': { job: publishing((list) => list.slice(0, -1)) },
  'too-many-commitments': { job: publishing((list) => [...list, list[0] as Uint8Array]) },
  'commitment-not-a-unit': {
    job: publishing((list, modulus) => list.map((c, m) => (m === 0 ? elementBytes(modulus) : c))),
  },
  'raised-degree': {
    job: (_liar, job, run) =>
      job.kind === 'deal'
        ? run({ ...job, keys: job.keys.map((key) => ({ ...key, threshold: key.threshold + 1 })) })
        : null,
  },
  'withheld-dealing': {
    message: (liar, to, message) => (message.type === 'dealing' && liar.tells(to) ? [] : null),
  },
  /**
   * The liar deals to all honest members but one, and lists all honest dealings but one. Each liar leaves out
   * other members. The gaps are few and far apart, so that many ways to leave members out look alike.
   */
  'a-gap-on-either-side': {
    message: (liar, to, message) => {
      if (message.type === 'dealing') return to === honestVictim(liar) ? [] : null;
      if (message.type !== 'have') return null;
      const refused = honestVictim(liar, 1 + (liar.world.options.seed % 3)).index;
      const held = liar.state?.durable.subShares;
      const digests = message.digests.filter((digest) => held?.[hex(digest)]?.dealer !== refused);
      return liar.forge({ ...message, digests });
    },
  },
  'dealing-for-another-plan': {
    message: (liar, to, message, carried) => {
      if (message.type !== 'dealing' || message.by === operatorDealer) return null;
      const half = decode(dealingPublicSchema, message.public);
      const changed = liar.tells(to)
        ? { ...half, plan: new Uint8Array(half.plan).reverse() }
        : { ...half, epoch: half.epoch + 1 };
      return [
        ...liar.forge({ ...message, public: encode(changed) }),
        ...(liar.chance(0.5) ? [{ type: 'message' as const, message: carried }] : []),
      ];
    },
  },
  'dealings-in-others-names': {
    message: (liar, to, message, carried) => {
      if (message.type !== 'dealing' || message.by === operatorDealer) return null;
      const half = decode(dealingPublicSchema, message.public);
      const forged = liar.others
        .filter(({ index }) => index !== to.index)
        .flatMap(({ index: by }) => liar.forge({ ...message, by, public: encode({ ...half, dealer: by }) }));
      return [...forged, { type: 'message', message: carried }];
    },
  },
  /** The liar deals the parts of an old dealing again, under the plan of today. */
  'old-dealing-under-a-new-plan': {
    message: (liar, _to, message) => {
      if (message.type !== 'dealing' || message.by === operatorDealer) return null;
      const half = decode(dealingPublicSchema, message.public);
      const old = oldDealings.get(liar) ?? half;
      oldDealings.set(liar, old);
      if (old.epoch === half.epoch) return null;
      const again = { ...half, parts: old.parts };
      return liar.forge({ ...message, public: encode(again) });
    },
  },
} satisfies Record<string, Lie>;

const oldDealings = new WeakMap<Liar, ReturnType<typeof readHalf>>();
const readHalf = (bytes: Uint8Array) => decode(dealingPublicSchema, bytes);
