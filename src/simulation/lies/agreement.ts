/** Lies in agreement, and about what is held and ready (protocol §4). */

import { trialBlock } from '../../keys/rsa/encoding.ts';
import { publicOf } from '../../keys/rsa/kind.ts';
import { elementBytes } from '../../keys/rsa/numbers.ts';
import { assembleValue, decodePublic, sortAccepted } from '../../protocol/change/validity.ts';
import type { JobResult } from '../../protocol/machine/io.ts';
import {
  attendsOf,
  changeQuorum,
  draftOfPlan,
  headLink,
  headOf,
  isSuspended,
  selfIn,
  valueQuorum,
} from '../../protocol/machine/queries.ts';
import {
  type Attend,
  attendSchema,
  digestOfDealing,
  type Evidence,
  type Frame,
  type Proposal,
} from '../../protocol/records/change-messages.ts';
import { compareBytes, decode, encode, fromHex, hex, sameBytes } from '../../protocol/records/codec.ts';
import { precommitBody } from '../../protocol/records/link.ts';
import { type Packet, signPacket } from '../../protocol/records/packet.ts';
import { leaderOf } from '../../protocol/records/roster.ts';
import { type Accepted, ancestorsAfter, hashOfValue, operatorDealer } from '../../protocol/records/value.ts';
import type { Liar, Lie } from './liar.ts';

/** The same proposal with another set of accepted dealings, in everything else what its evidence makes. */
function withAccepted(
  liar: Liar,
  { value, ...proposal }: Proposal,
  accepted: Accepted[],
  shown?: Attend[],
): Proposal | null {
  const { state } = liar;
  const draft = state && draftOfPlan(state, hex(value.plan));
  if (!draft) return null;
  const halves = accepted.map(({ digest }) => state.durable.publics[hex(digest)]);
  if (halves.some((half) => half === undefined)) return null;
  const known = attendsOf(state, hex(value.plan))
    .map(({ message }) => message)
    .filter((attend) => value.roster.some(({ epochKey }) => sameBytes(epochKey, attend.epochKey)));
  const other = assembleValue(
    state,
    value.plan,
    draft,
    shown ?? known,
    accepted,
    halves.map((half) => decodePublic((half as { bytes: Uint8Array }).bytes)),
    value.suspended,
  );
  return { ...proposal, value: other.value };
}

const proposing =
  (choose: (liar: Liar, proposal: Proposal) => Accepted[], toAll: boolean): NonNullable<Lie['message']> =>
  (liar, to, message, carried) => {
    if (message.type !== 'proposal' || carried.evidence === undefined) return null;
    if (!toAll && !liar.tells(to)) return null;
    const other = withAccepted(liar, message, choose(liar, message));
    return other === null ? null : liar.forge(other, { evidence: carried.evidence });
  };

/** All dealings that the liar knows of for the plan of its proposal, whether anybody holds them or not. */
function everyDealing(liar: Liar, { value }: Proposal): Accepted[] {
  const chosen = new Map<number, Accepted>(value.accepted.map((each) => [each.dealer, each]));
  for (const [digest, { bytes }] of Object.entries(liar.state?.durable.publics ?? {})) {
    const half = decodePublic(bytes);
    if (sameBytes(half.plan, value.plan) && !chosen.has(half.dealer))
      chosen.set(half.dealer, { dealer: half.dealer, digest: fromHex(digest) });
  }
  return sortAccepted([...chosen.values()]);
}

const retireFrame = (liar: Liar): Frame | null => {
  const { state } = liar;
  if (state === null) return null;
  const { value } = headLink(state);
  const own = state.durable.readys[liar.peer.index];
  if (own === undefined) return null;
  const proofs = value.keys.map((key) =>
    elementBytes(trialBlock(hashOfValue(value), key.id, publicOf(key.public).modulus)),
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

/** The public half of a dealing that creates no key: as a required one that few hold it would stop every leader. */
const dealingOfNothing = (epoch: number, plan: Uint8Array): Uint8Array =>
  encode({ epoch, plan, dealer: operatorDealer, parts: [] });

/**
 * A value that accepts dealings that there are not, proposed for every round that the liar leads in the near
 * future.
 */
function proposalsOfAnything(liar: Liar): Frame[] {
  const { state } = liar;
  const known = Object.values(state?.durable.proposals ?? {})[0]?.message;
  if (!state || known === undefined) return [];
  const now = state.durable.own.rounds?.round ?? 0;
  const rounds = Array.from({ length: 24 }, (_, ahead) => now + ahead).filter(
    (round) => leaderOf(headOf(state).roster, headOf(state).epoch, round).index === liar.peer.index,
  );
  const accepted = () =>
    sortAccepted(Array.from({ length: 90 }, (_, at) => ({ dealer: at % 60, digest: liar.randomBytes(32) })));
  return rounds.flatMap((round) =>
    liar.forge(
      {
        ...known,
        by: liar.peer.index,
        round,
        validRound: -1,
        value: { ...known.value, accepted: accepted() },
      },
      { evidence: noEvidence },
    ),
  );
}

const noEvidence: Evidence = { attends: [], haves: [], orders: [], prevotes: [] };

/** A value of the liar's own making, certified by nobody but itself. */
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
    links: [{ value, commitments, certificate: { type: 'precommits', round: 0, votes } }],
  };
};

export const agreementLies = {
  'two-votes': {
    message: (liar, to, message) => {
      if ((message.type !== 'prevote' && message.type !== 'precommit') || !liar.tells(to)) return null;
      const other = Object.values(liar.state?.durable.proposals ?? {}).find(
        ({ message: proposal }) => proposal.round === message.round,
      );
      const value = message.value === null && other ? hashOfValue(other.message.value) : null;
      return liar.forge({ ...message, value });
    },
  },
  /** Precommits for one value to some and for another to the rest, whatever the prevotes were. */
  'two-proposals': {
    message: proposing((_liar, { value }) => value.accepted.slice(0, -1), false),
  },
  /**
   * Silent in round 0; later a value as one that was proposed before, with prevotes for it in everybody's
   * name, or its own.
   */
  'false-valid-round': {
    message: (liar, _to, message, { evidence }) => {
      if (message.type !== 'proposal' || evidence === undefined) return null;
      if (message.round === 0) return [];
      const validRound = message.round - 1;
      const prevote = {
        type: 'prevote',
        epoch: message.epoch,
        round: validRound,
        instance: message.instance,
        value: hashOfValue(message.value),
      };
      const own = (liar.order + liar.world.options.seed) % 2 === 0;
      const voters = own ? [liar.peer] : [liar.peer, ...liar.others];
      const prevotes = voters.flatMap(({ index: by }) => liar.sign({ ...prevote, by }) ?? []);
      return liar.forge({ ...message, validRound }, { evidence: { ...evidence, prevotes } });
    },
  },
  /** A value that follows from fewer Attends than a quorum, but for those that do not count: of suspended members. */
  'too-few-attends': {
    message: (liar, _to, message, { evidence }) => {
      const { state } = liar;
      if (message.type !== 'proposal' || evidence === undefined || state === null) return null;
      const quorum = changeQuorum(state);
      const read = (packet: Packet) => decode(attendSchema, packet.body);
      const few = evidence.attends.slice(0, quorum - 1);
      const suspended = attendsOf(state, hex(message.value.plan)).filter(({ message: { by } }) =>
        isSuspended(state, by),
      );
      const attends = [...few, ...suspended.map(({ carried }) => carried.packet)];
      const attending = new Set([0, ...attends.map((packet) => read(packet).by)]);
      const accepted = message.value.accepted.filter(({ dealer }) => attending.has(dealer));
      const other = withAccepted(liar, message, accepted, attends.map(read));
      return other === null ? null : liar.forge(other, { evidence: { ...evidence, attends } });
    },
  },
  /** A member that the plan evicts says that it holds everything, as if it stayed. */
  'have-of-an-evicted': {
    act: (liar) => {
      const { state } = liar;
      if (state === null) return false;
      let told = false;
      for (const plan of Object.keys(state.durable.plans)) {
        const draft = draftOfPlan(state, plan);
        if (draft === null || draft.roster.some(({ peer }) => peer === liar.peer.peer)) continue;
        const digests = Object.entries(state.durable.publics)
          .filter(([, { bytes }]) => hex(decodePublic(bytes).plan) === plan)
          .map(([digest]) => digest);
        const epoch = headOf(state).epoch + 1;
        const have = { type: 'have', by: liar.peer.index, epoch, plan: fromHex(plan) };
        for (const frame of liar.forge({ ...have, digests: digests.sort().map(fromHex) }))
          for (const to of liar.others) liar.send(to, frame);
        told = true;
      }
      return told;
    },
  },
  'votes-for-both': {
    message: (liar, to, message, carried) => {
      if (message.type !== 'prevote' && message.type !== 'precommit') return null;
      const values = Object.values(liar.state?.durable.proposals ?? {}).map((entry) => entry.message);
      const other = values.find(
        (proposal) => proposal.round === message.round && liar.world.peerAt(proposal.by).faulty === 'lies',
      );
      if (other === undefined || !liar.tells(to)) return null;
      const smaller = withAccepted(liar, other, other.value.accepted.slice(0, -1));
      if (smaller === null) return null;
      const lie = liar.forge({ ...message, value: hashOfValue(smaller.value) });
      return liar.chance(0.5) ? lie : [...lie, { type: 'message', message: carried }];
    },
  },
  'dealings-that-nobody-holds': { message: proposing(everyDealing, true) },
  'too-few-dealings': {
    message: proposing(
      (liar, { value }) =>
        value.accepted.filter(({ dealer }) => dealer === operatorDealer || dealer === liar.peer.index),
      true,
    ),
  },
  'no-proposal': { message: (_liar, _to, message) => (message.type === 'proposal' ? [] : null) },
  'proposal-without-evidence': {
    message: (liar, _to, message, { evidence }) => {
      if (message.type !== 'proposal' || evidence === undefined) return null;
      const less: Evidence = {
        ...evidence,
        haves: evidence.haves.slice(0, 1),
        attends: evidence.attends.slice(1),
      };
      return liar.forge(message, { evidence: less });
    },
  },
  /**
   * Silent when it leads; then an honest leader's value as its own of that earlier round, with nothing to
   * show for it.
   */
  'another-value-with-nothing-behind-it': {
    frame: (_liar, _to, frame) => (frame.type === 'links' ? [] : null), // what it decides it tells nobody
    message: (liar, _to, message, carried) => {
      if (message.type === 'proposal') return [];
      const { state } = liar;
      if (message.type !== 'prevote' || message.value === null || state === null) return null;
      const { value: hash } = message;
      const honest = Object.values(state.durable.proposals).find(({ message: { value } }) =>
        sameBytes(hashOfValue(value), hash),
      )?.message;
      const earlier = Array.from({ length: message.round }, (_, round) => round).find(
        (round) => leaderOf(headOf(state).roster, headOf(state).epoch, round).index === liar.peer.index,
      );
      if (honest === undefined || earlier === undefined) return null;
      const again = { ...honest, by: liar.peer.index, round: earlier, validRound: -1 };
      return [...liar.forge(again, { evidence: noEvidence }), { type: 'message', message: carried }];
    },
  },
  'dealings-of-nothing': {
    message: (liar, _to, message, { evidence }) => {
      if (message.type === 'have') {
        const digest = digestOfDealing(dealingOfNothing(message.epoch, message.plan));
        const digests = [...message.digests, digest].sort(compareBytes);
        return liar.forge({ ...message, digests });
      }
      if (message.type !== 'proposal' || evidence === undefined) return null;
      const digest = digestOfDealing(dealingOfNothing(message.epoch, message.value.plan));
      const accepted = sortAccepted([...message.value.accepted, { dealer: operatorDealer, digest }]);
      return liar.forge({ ...message, value: { ...message.value, accepted } }, { evidence });
    },
    act: (liar) => {
      const { state } = liar;
      if (state === null) return;
      const epoch = headOf(state).epoch + 1;
      const publics = Object.keys(state.durable.plans).map((plan) => dealingOfNothing(epoch, fromHex(plan)));
      for (const to of liar.others) {
        liar.send(to, { type: 'publics', publics });
        if (liar.chance(0.3)) for (const frame of proposalsOfAnything(liar)) liar.send(to, frame);
      }
    },
  },
  'withheld-votes': {
    message: (liar, to, message) => ('round' in message && liar.tells(to) ? [] : null),
  },
  'two-attends': {
    message: (liar, to, message, { orders }) => {
      if (message.type !== 'attend' || !liar.tells(to)) return null;
      const other = { ...message, sealingKey: new Uint8Array(message.sealingKey).reverse() };
      return liar.forge(other, orders === undefined ? {} : { orders });
    },
  },
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
      // The partial begins after its length; the proof is at the end.
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
  /** True Readys, under a signature that no shares made. */
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
  /** Votes in others' names, under the liar's own key. */
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

/** Bytes that a member's key has signed for no message at all. */
export const signedNonsense = (liar: Liar): Frame[] =>
  liar.forge({ type: 'nonsense', by: liar.peer.index, n: encode(1) });
