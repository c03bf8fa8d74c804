/** Lies of members that propose and vote (protocol §4.3). */
import { decodePublic, sortAccepted } from '../../protocol/change/validity.ts';
import { attendsOf, changeQuorum, draftOfPlan, headOf, isSuspended } from '../../protocol/machine/queries.ts';
import { attendSchema, digestOfDealing, type Evidence } from '../../protocol/records/change-messages.ts';
import { compareBytes, decode, fromHex, hex, sameBytes } from '../../protocol/records/codec.ts';
import type { Packet } from '../../protocol/records/packet.ts';
import { leaderOf } from '../../protocol/records/roster.ts';
import { hashOfValue, operatorDealer } from '../../protocol/records/value.ts';
import {
  dealingOfNothing,
  everyDealing,
  noEvidence,
  proposalsOfAnything,
  proposing,
  withAccepted,
} from './bent-proposals.ts';
import type { Lie } from './liar.ts';
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
  /** Half of the members get a proposal without the last accepted dealing. */
  'two-proposals': {
    message: proposing((_liar, { value }) => value.accepted.slice(0, -1), false),
  },
  /**
   * The liar is silent in round 0. Later it calls its value one that was proposed before. It shows prevotes
   * for the value in the names of all members, or its own prevote only.
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
  /**
   * The value follows from fewer Attends than a quorum. Attends of suspended members, which do not count,
   * fill the gap.
   */
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
  /** A member that the plan evicts says that it holds all dealings, as if it stayed. */
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
   * The liar sends no proposal when it leads. Later it sends an honest leader's value as its own proposal of
   * that earlier round, without evidence.
   */
  'another-value-with-nothing-behind-it': {
    frame: (_liar, _to, frame) => (frame.type === 'links' ? [] : null), // it passes no decision on
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
} satisfies Record<string, Lie>;
