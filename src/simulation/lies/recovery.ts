/**
 * Lies of helpers and of the member that recovers (protocol §5). Lies about dealings change masks too,
 * because a mask is a dealing with another root.
 */
import { decodeSigned, encodeSigned } from '../../crypto/integers.ts';
import { sealingKeyFromSeed } from '../../crypto/key-agreement.ts';
import { runJob } from '../../node/jobs/change-jobs.ts';
import type { Job } from '../../protocol/machine/io.ts';
import { headSettings } from '../../protocol/machine/queries.ts';
import {
  type DealingPublic,
  dealingPublicSchema,
  digestOfDealing,
  type Frame,
} from '../../protocol/records/change-messages.ts';
import { decode, encode, fromHex, hex } from '../../protocol/records/codec.ts';
import { zip } from '../../protocol/records/present.ts';
import {
  hashOfRun,
  type Of,
  type RecoveryMessage,
  recoveryMessageSchema,
} from '../../protocol/records/recovery-messages.ts';
import type { Peer } from '../world/world.ts';
import { honestVictim, type Liar, type Lie } from './liar.ts';

const typeOf = (frame: Frame): string | null =>
  frame.type === 'recovery' ? decode(recoveryMessageSchema, frame.packet.body).type : null;

/** A liar's other mask for one run. */
interface OtherMask {
  public: Uint8Array;
  coefficients: Uint8Array[][];
}
const otherMasks = new WeakMap<Liar, Map<string, OtherMask>>();

/** A second, true mask of the same run. Members that get it hold another mask than the others. */
function otherMask(liar: Liar, { run, epoch, by, receiver }: Of<'recover-mask'>): object | null {
  const { state } = liar;
  const helping =
    state && Object.values(state.volatile.recovery.helping).find((each) => hex(each.run) === hex(run));
  if (!state || !helping) return null;
  const keys = headSettings(state);
  const context = { cipher: 'aes' as const, randomBytes: liar.randomBytes };
  const made = otherMasks.get(liar) ?? new Map<string, OtherMask>();
  otherMasks.set(liar, made);
  if (!made.has(hex(run))) {
    const dealt = runJob({ kind: 'deal', cluster: state.clusterId, plan: run, keys, dealer: by }, context);
    if (dealt.kind !== 'deal') return null;
    const parts = zip(keys, dealt.parts).map(([{ key }, { commitments }]) => ({ key: key.id, commitments }));
    made.set(hex(run), {
      public: encode({ v: 1, epoch, plan: run, dealer: by, parts } satisfies DealingPublic),
      coefficients: dealt.parts.map((part) => part.coefficients),
    });
  }
  const { public: half, coefficients } = made.get(hex(run)) as OtherMask;
  const tie = { cluster: state.clusterId, epoch, plan: run, digest: digestOfDealing(half), sender: by };
  const receivers = helping.helpers.filter(({ index }) => index === receiver);
  const sealing = zip(keys, coefficients).map(([setting, list]) => ({ setting, coefficients: list }));
  const sealed = runJob({ kind: 'seal', keys: sealing, tie, receivers }, context);
  const envelopes = sealed.kind === 'seal' ? (sealed.sealed[0]?.envelopes ?? []) : [];
  return { type: 'recover-mask', by, epoch, run, receiver, public: half, envelopes };
}

/** Another choice of the liar's run. It has `to` in it, and only helpers whose masks the liar knows. */
function otherChoice(liar: Liar, to: number, choice: Of<'recover-choice'>): object | null {
  const run = liar.state?.volatile.recovery.asking?.run;
  if (!run || hex(run.run) !== hex(choice.run)) return null;
  const digestOf = new Map(Object.entries(run.publics).map(([digest, { dealer }]) => [dealer, digest]));
  const named = new Set(choice.helpers.map(({ index }) => index));
  const others = [...digestOf.keys()]
    .filter((index) => index !== to)
    .sort((a, b) => Number(named.has(a)) - Number(named.has(b)));
  const helpers = [to, ...others].slice(0, named.size);
  return {
    ...choice,
    helpers: helpers.map((index) => ({ index, digest: fromHex(digestOf.get(index) ?? '') })),
  };
}

/** Replaces each recovery message of this type. `change` gives the new bodies, and the liar signs them. */
const retelling =
  <T extends RecoveryMessage['type']>(
    type: T,
    change: (liar: Liar, message: Of<T>, to: Peer) => object[],
  ): NonNullable<Lie['frame']> =>
  (liar, to, frame) => {
    if (frame.type !== 'recovery') return null;
    const message = decode(recoveryMessageSchema, frame.packet.body);
    if (message.type !== type || message.by !== liar.peer.index) return null;
    return change(liar, message as Of<T>, to).flatMap((body) => {
      const packet = liar.sign(body);
      return packet === null ? [] : [{ ...frame, packet }];
    });
  };

/** A run with the name that belongs to its changed content. */
function renamed(named: Omit<Of<'recover-run'>, 'run'>): object {
  return { ...named, run: hashOfRun(encode(named)) };
}
const withoutName = ({ run: _, ...named }: Of<'recover-run'>): Omit<Of<'recover-run'>, 'run'> => named;

/** A number that is sealed to this key is not secret. */
const weakKey = new Uint8Array(32);

/** The public key of a pair that all liars of a run share. */
const keyOfLiars = (liar: Liar): Uint8Array =>
  sealingKeyFromSeed(new Uint8Array(32).fill(liar.world.options.seed)).publicKey;

/** The last run that a liar began, with its grants. */
const lastRuns = new WeakMap<Liar, Extract<Frame, { type: 'recovery' }>>();

/** The liar takes no dealing, so that it must recover in every epoch. */
const neverDealt = ({ type }: { type: string }): boolean => type === 'dealing';

const otherShare = ({ setting, share }: Extract<Job, { kind: 'sum' }>['keys'][number]): Uint8Array =>
  setting.key.kind === 'rsa'
    ? encodeSigned(decodeSigned(share) + 1n)
    : share.map((byte, at) => (at === share.length - 1 ? byte ^ 1 : byte));

export const recoveryLies = {
  'false-sum': {
    job: (_liar, job, run) =>
      job.kind === 'sum'
        ? run({
            ...job,
            keys: job.keys.map((key) => ({ ...key, share: otherShare(key) })),
          })
        : null,
  },
  'no-sum': { frame: (_liar, _to, frame) => (typeOf(frame) === 'recover-sum' ? [] : null) },
  'no-masks': { frame: (_liar, _to, frame) => (typeOf(frame) === 'recover-mask' ? [] : null) },
  'masks-for-some': {
    frame: (liar, to, frame) => (typeOf(frame) === 'recover-mask' && liar.tells(to) ? [] : null),
  },
  /**
   * One honest helper gets no mask from the liar. The liar also says that it lacks the mask of another honest
   * member. Each liar picks other members.
   */
  'a-gap-among-masks': {
    frame: (liar, to, frame) => {
      if (frame.type !== 'recovery') return null;
      const message = decode(recoveryMessageSchema, frame.packet.body);
      if (message.type === 'recover-mask' && message.receiver === honestVictim(liar).index) return [];
      if (message.type !== 'recover-held') return null;
      const lacking = honestVictim(liar, 1).index;
      const masks = message.masks.filter(({ index }) => index !== lacking);
      const packet = liar.sign({ ...message, masks });
      return packet === null || to.faulty === 'lies' ? null : [{ ...frame, packet }];
    },
  },
  'two-masks': {
    frame: (liar, to, frame) => {
      if (frame.type !== 'recovery' || !liar.tells(to)) return null;
      const message = decode(recoveryMessageSchema, frame.packet.body);
      const other = message.type === 'recover-mask' ? otherMask(liar, message) : null;
      const packet = other && liar.sign(other);
      return packet ? [{ ...frame, packet }] : null;
    },
  },
  /** Half of the liar's helpers get another choice. */
  'two-choices': {
    misses: neverDealt,
    frame: (liar, to, frame) => {
      if (frame.type !== 'recovery' || !liar.tells(to)) return null;
      const message = decode(recoveryMessageSchema, frame.packet.body);
      const other = message.type === 'recover-choice' ? otherChoice(liar, to.index, message) : null;
      const packet = other && liar.sign(other);
      return packet ? [{ ...frame, packet }] : null;
    },
  },
  /** Each helper gets a run in which the other helpers have keys whose secrets the liar knows. */
  'run-with-keys-of-its-own': {
    misses: neverDealt,
    frame: retelling('recover-run', (liar, message, to) => {
      const helpers = message.helpers.map(({ index, sealingKey }) => ({
        index,
        sealingKey: index === to.index ? sealingKey : sealingKeyFromSeed(liar.randomBytes(32)).publicKey,
      }));
      return [renamed({ ...withoutName(message), helpers })];
    }),
  },
  'two-runs-under-one-grant': {
    misses: neverDealt,
    frame: (liar, _to, frame) => {
      if (frame.type === 'recovery' && typeOf(frame) === 'recover-run') lastRuns.set(liar, frame);
      return null;
    },
    act: (liar) => {
      const frame = lastRuns.get(liar);
      if (frame === undefined) return false;
      const message = decode(recoveryMessageSchema, frame.packet.body) as Of<'recover-run'>;
      const { publicKey: sealingKey } = sealingKeyFromSeed(liar.randomBytes(32));
      const packet = liar.sign(renamed({ ...withoutName(message), sealingKey }));
      for (const to of liar.others) if (packet !== null) liar.send(to, { ...frame, packet });
      return true;
    },
  },
  'run-with-a-weak-key': {
    misses: neverDealt,
    frame: retelling('recover-run', (_liar, message) => [
      renamed({ ...withoutName(message), sealingKey: weakKey }),
    ]),
  },
  'grant-with-a-weak-key': {
    frame: retelling('recover-grant', (_liar, message) => [{ ...message, sealingKey: weakKey }]),
  },
  'grants-with-one-key': {
    frame: retelling('recover-grant', (liar, message) => [{ ...message, sealingKey: keyOfLiars(liar) }]),
  },
  'masks-in-others-names': {
    frame: retelling('recover-mask', (liar, message, to) => [
      ...liar.others
        .filter(({ index }) => index !== to.index)
        .map(({ index: by }) => {
          const half = decode(dealingPublicSchema, message.public);
          return { ...message, by, public: encode({ ...half, dealer: by }) };
        }),
      message,
    ]),
  },
  'no-accept': { frame: (_liar, _to, frame) => (typeOf(frame) === 'recover-accept' ? [] : null) },
  'no-word-of-masks-held': { frame: (_liar, _to, frame) => (typeOf(frame) === 'recover-held' ? [] : null) },
} satisfies Record<string, Lie>;
