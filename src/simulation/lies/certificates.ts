/** Lies about what is held, ready and certified, and votes in the names of others (protocol §4.3 to §4.5). */
import { trialBlock } from '../../keys/rsa/encoding.ts';
import { elementBytes } from '../../keys/rsa/numbers.ts';
import { publicOf } from '../../keys/rsa/setting.ts';
import { decodePublic } from '../../protocol/change/validity.ts';
import type { JobResult } from '../../protocol/machine/io.ts';
import { headLink, headOf, selfIn, valueQuorum } from '../../protocol/machine/queries.ts';
import type { Frame } from '../../protocol/records/change-messages.ts';
import { encode, fromHex, hex, sameBytes } from '../../protocol/records/codec.ts';
import { precommitBody } from '../../protocol/records/link.ts';
import { signPacket } from '../../protocol/records/packet.ts';
import { ancestorsAfter, hashOfValue } from '../../protocol/records/value.ts';
import type { Liar, Lie } from './liar.ts';

const retireFrame = (liar: Liar): Frame | null => {
  const { state } = liar;
  if (state === null) return null;
  const { value } = headLink(state);
  const own = state.durable.readys[liar.peer.index];
  if (own === undefined) return null;
  const proofs = value.keys.map((key) =>
    key.kind === 'rsa'
      ? elementBytes(trialBlock(hashOfValue(value), key.id, publicOf(key.public).modulus))
      : liar.randomBytes(64),
  );
  return { type: 'retire', proof: { epoch: value.epoch, readys: [own.carried.packet], proofs } };
};

const lastBitFlipped = (bytes: Uint8Array): Uint8Array =>
  bytes.map((byte, at) => (at === bytes.length - 1 ? byte ^ 1 : byte));

const unsigned = (frame: Extract<Frame, { type: 'retire' }>): Frame => ({
  ...frame,
  proof: {
    ...frame.proof,
    proofs: frame.proof.proofs.map(lastBitFlipped),
  },
});

/** A value that the liar made, with its own vote alone as certificate. */
const linkFrame = (liar: Liar): Frame | null => {
  const { state } = liar;
  const self = state && selfIn(state);
  const secret = self && state.durable.epochSecrets[hex(self.epochKey)];
  if (!state || !self || !secret) return null;
  const { value: head, commitments } = headLink(state);
  const value = {
    ...head,
    epoch: head.epoch + 1,
    ancestors: ancestorsAfter(head),
    roster: head.roster.map((member) => ({ ...member, epochKey: self.epochKey })),
  };
  const body = precommitBody(self.index, value.epoch, 0, hashOfValue(value));
  const { signature } = signPacket(state.clusterId, secret, body);
  const votes = [{ by: self.index, signature }];
  return {
    type: 'links',
    links: [{ v: 1, value, commitments, certificate: { type: 'precommits', round: 0, votes } }],
  };
};

export const certificateLies = {
  'false-have': {
    message: (liar, _to, message) => {
      if (message.type !== 'have') return null;
      const known = Object.entries(liar.state?.durable.publics ?? {})
        .filter(([, { bytes }]) => sameBytes(decodePublic(bytes).plan, message.plan))
        .map(([digest]) => digest);
      const digests = [...new Set([...known, ...message.digests.map(hex)])].sort().map(fromHex);
      return liar.forge({ ...message, digests });
    },
  },
  'two-haves': {
    message: (liar, to, message) =>
      message.type === 'have' && liar.tells(to)
        ? liar.forge({ ...message, digests: message.digests.slice(1) })
        : null,
  },
  'false-trial': {
    job: (liar, job, run) => {
      if (job.kind !== 'trial') return null;
      const result = run(job) as Extract<JobResult, { kind: 'trial' }>;
      // The partial begins after its two bytes of length, and the proof is at the end.
      const trials = result.trials.map((trial) => {
        const bent = trial.map((byte, at) => (at === 2 ? byte ^ 1 : byte));
        return liar.chance(0.5) ? bent : bent.slice(0, -1);
      });
      return { kind: 'trial', trials };
    },
  },
  'no-ready': { message: (_liar, _to, message) => (message.type === 'ready' ? [] : null) },
  'forged-retire-proof': {
    act: (liar) => {
      const frame = retireFrame(liar);
      if (frame !== null) for (const to of liar.others) liar.send(to, frame);
    },
  },
  /** True Readys with a signature that no shares made. */
  'retire-proof-that-never-signed': {
    frame: (_liar, _to, frame) => (frame.type === 'retire' ? [unsigned(frame)] : null),
    act: (liar) => {
      const readys = Object.values(liar.state?.durable.readys ?? {}).map(({ carried }) => carried.packet);
      const frame = retireFrame(liar);
      if (frame?.type !== 'retire' || liar.state === null) return false;
      if (readys.length < valueQuorum(liar.state, headOf(liar.state))) return false;
      for (const to of liar.others) liar.send(to, { ...frame, proof: { ...frame.proof, readys } });
      return true;
    },
  },
  'forged-link': {
    act: (liar) => {
      const frame = linkFrame(liar);
      if (frame !== null) for (const to of liar.others) liar.send(to, frame);
    },
  },
  /** Votes in the names of others, signed with the liar's own key. */
  'forged-votes': {
    act: (liar) => {
      const { state } = liar;
      const rounds = state?.durable.own.rounds;
      if (!state || !rounds) return;
      const proposal = state.durable.proposals[rounds.round];
      const value = proposal && liar.chance(0.5) ? hashOfValue(proposal.message.value) : null;
      for (const to of liar.others)
        for (const { index } of headOf(state).roster)
          for (const type of ['prevote', 'precommit'])
            if (index !== to.index)
              for (const frame of liar.forge({
                type,
                by: index,
                epoch: rounds.epoch,
                round: rounds.round,
                instance: null,
                value,
              }))
                liar.send(to, frame);
    },
  },
} satisfies Record<string, Lie>;

/** Bytes that a member's key signed and that are no message. */
export const signedNonsense = (liar: Liar): Frame[] =>
  liar.forge({ type: 'nonsense', by: liar.peer.index, n: encode(1) });
