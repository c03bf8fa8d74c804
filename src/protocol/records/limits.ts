/**
 * Every bound on what a peer, client or operator can make us store or do, in one place, with their relations.
 */
import assert from 'node:assert/strict';

export const limits = {
  membersMax: 64,
  membersDefault: 20,
  keysMax: 32,
  clientsMax: 256,
  rightsPerClientMax: 32,
  schemesPerRightMax: 4,
  operatorsMax: 16,
  ordersPerPlanMax: 16,
  /** What one order carries is done in one change, all of it or nothing. */
  actionsPerOrderMax: 16,
  orderBodyBytesMax: 60 * 1024,
  ordersPendingMax: 64,
  plansPerMemberMax: 18,
  /** Dealings that one value accepts: one of each member, and one of each key that is created. */
  dealingsMax: 64 + 32,
  /** Packets of one new key's dealing that a member opens in one change though those before were false. */
  falseCreationsMax: 8,
  /** After so many failures of its own a job's item is given up, where the rest can do without it. */
  jobAttemptsMax: 5,
  failingJobsKept: 256,
  /**
   * How many sums of keys a member remembers. At once it needs those of the present proposal, of a value to
   * decide, of its valid value, and of what it will propose.
   */
  keySumsKept: 8,
  roundMax: 2 ** 31,
  roundsAheadMax: 64,
  /**
   * Votes of rounds further back go, but for the locked and the valid round: whoever decided then is locked
   * since.
   */
  roundsKept: 64,
  /** The same of proposals, which are long. Of rounds ahead one of each leader is kept, the latest. */
  proposalRoundsKept: 16,
  /** Of one member in one undecided change: its Attends, Haves, proposals and votes. */
  recalledPacketsMax: 1024,
  /** Messages of the next epoch that wait for the decision of this one: each, how many, and all together. */
  earlyBytesMax: 128 * 1024,
  earlyMessages: 256,
  earlyTotalBytesMax: 8 * 1024 * 1024,
  /** Changes of which accusations are kept, to be shown. */
  accusationEpochsKept: 16,
  /**
   * Of one accuser, the newest: of both changes of which accusations are taken it can accuse everybody once.
   */
  accusationsPerMemberMax: 128,
  /** Epochs of which blames, notes, holds and waits are kept, to be shown. */
  historyEpochsKept: 100,
  /** Blames of one member, the newest, with their proofs. */
  blamesPerMemberMax: 64,
  blameBytesPerMemberMax: 64 * 1024,
  /** Two signed messages as a proof; longer ones are not kept. */
  blameProofBytesMax: 16 * 1024,
  /** Holds and waits of one member, the newest. */
  pausesPerMemberMax: 32,
  /** Destroyed keys of which somebody may still hold a share, to be shown. */
  destroyedKeysKept: 64,
  /** The newest links stay in the sealed store and in memory; the archive holds all. */
  linksKept: 4,
  /**
   * Whoever keeps only the newest epochs in its archive keeps at least these: an admission may name a value
   * so old.
   */
  archiveEpochsMin: 128,
  /** Epochs that leave the archive with one decision, so that a shorter setting is no one long write. */
  archiveEpochsDroppedAtOnce: 64,
  nameBytesMax: 63,
  addressesPerMemberMax: 16,
  addressBytesMax: 256,
  frameBytesMax: 4 * 1024 * 1024,
  requestBytesMax: 64 * 1024,
  groupElementBytesMax: 512,
  /** The public values of a key, in the encoding of its kind: of RSA four numbers, each after its length. */
  keyPublicBytesMax: 4 * (512 + 2),
  kindNameBytesMax: 16,
  envelopeBytesMax: 4096,
  /** What one request asks of a key: of RSA a digest or a ciphertext, of others up to a whole message. */
  askedBytesMax: 34 * 1024,
  /** What a member commits to in the first of two rounds. */
  nonceCommitmentBytesMax: 128,
  /** The proof beside a partial. */
  proofBytesMax: 2048,
  /** What shows that a dealer knows its part of a key that members create together. */
  possessionBytesMax: 128,
  /** What a member shows for a new share: of RSA a partial after its length, and its proof. */
  trialBytesMax: 2 + 512 + 2048,
  /** What a quorum's trials come to: of RSA a signature. */
  trialProofBytesMax: 64 * 64,
  /**
   * Signed bodies that hold nothing but numbers, hashes and keys: Attends, votes, Readys, accusations,
   * grants, accepts.
   */
  shortBodyBytesMax: 256,
  haveBodyBytesMax: 4 * 1024,
  /** All clients of a value with their rights. */
  clientsBytesMax: 128 * 1024,
  valueBytesMax: 384 * 1024,
  /** What stands in a proposal beside its value. */
  proposalBytesMax: 385 * 1024,
  dealingPublicBytesMax: 1100 * 1024,
  /** A dealing or a mask: its public half and one envelope a key. */
  dealingBytesMax: 1250 * 1024,
  /** Eight bytes a message that a summary lists. */
  seenBytesMax: 256 * 1024,
  /** Links that one catch-up answer carries. */
  linksPerFrameMax: 16,
  absentEpochsDefault: 100,
  absentEpochsMax: 10_000,
  useRequestLifetimeMs: 5 * 60_000,
  clockSkewMs: 60_000,
  roundTimeoutMaxMs: 30_000,
  undecidedRoundsBeforeBarePlan: 3,
  orderAgeEpochsMax: 100,
} as const;

assert(limits.membersDefault <= limits.membersMax);
assert(limits.ordersPerPlanMax <= limits.ordersPendingMax);
// An order with all its signatures is handed in as one request, and an Attend with all its orders is one
// frame.
assert(limits.orderBodyBytesMax + limits.operatorsMax * 128 <= limits.requestBytesMax);
assert(limits.ordersPerPlanMax * limits.requestBytesMax <= limits.frameBytesMax / 2);
assert(limits.dealingsMax === limits.membersMax + limits.keysMax);
assert(limits.accusationsPerMemberMax >= 2 * (limits.membersMax - 1));
// Of one epoch a member is blamed at most once for each kind, of which there are five.
assert(limits.blamesPerMemberMax >= 3 * 5);
assert(limits.blameBytesPerMemberMax >= 2 * limits.blameProofBytesMax);
assert(limits.archiveEpochsMin > limits.orderAgeEpochsMax + limits.linksPerFrameMax);
// A blame or an accusation names a member by the roster of the change before.
assert(limits.linksKept >= 3);
// One more order at a time makes a plan each, and there is the plan without orders.
assert(limits.plansPerMemberMax >= limits.ordersPerPlanMax + 2);

// What a thing of the largest group takes, in canonical CBOR with its field names.
const named = (bytes: number): number => bytes + 24;
/** With all its signatures. */
const orderBytes = limits.orderBodyBytesMax + limits.operatorsMax * 128;
const packetOf = (body: number): number => named(body) + named(64) + 24;
const memberBytes = 3 * named(9) + named(limits.nameBytesMax) + named(128) + named(32);
const keyBytes =
  named(32) +
  named(limits.nameBytesMax) +
  named(limits.kindNameBytesMax) +
  named(7) +
  named(32) +
  named(limits.keyPublicBytesMax);
const commitmentsBytes = limits.membersMax * (limits.groupElementBytesMax + 3) + named(32);
const valueBytes =
  limits.membersMax * memberBytes +
  limits.keysMax * keyBytes +
  limits.clientsBytesMax +
  limits.membersMax * (2 * packetOf(limits.shortBodyBytesMax) + named(9)) +
  limits.dealingsMax * (named(32) + named(9)) +
  limits.orderAgeEpochsMax * 34 +
  16 * named(32);
const evidenceBytes =
  2 * limits.membersMax * packetOf(limits.shortBodyBytesMax) +
  limits.membersMax * packetOf(limits.haveBodyBytesMax) +
  limits.ordersPerPlanMax * orderBytes;
const linkBytes =
  limits.valueBytesMax +
  orderBytes +
  limits.membersMax * (named(64) + named(9)) +
  limits.keysMax * commitmentsBytes;

assert(valueBytes <= limits.valueBytesMax);
assert(limits.valueBytesMax < limits.proposalBytesMax);
assert(limits.dealingsMax * 34 + 8 * named(32) <= limits.haveBodyBytesMax);
// An order can create a key and list its first client.
assert(commitmentsBytes + keyBytes + 8 * 1024 <= limits.orderBodyBytesMax);
assert(limits.keysMax * commitmentsBytes + 8 * named(32) <= limits.dealingPublicBytesMax);
assert(
  limits.dealingPublicBytesMax + limits.keysMax * (limits.envelopeBytesMax + 3) + 8 * named(32) <=
    limits.dealingBytesMax,
);
// Each travels in one frame.
assert(limits.proposalBytesMax + evidenceBytes + 1024 <= limits.frameBytesMax);
assert(
  limits.dealingBytesMax + limits.membersMax * packetOf(limits.shortBodyBytesMax) <= limits.frameBytesMax,
);
assert(linkBytes <= limits.frameBytesMax / 2);
// A summary names every vote, proposal, Attend, Have, Ready, contradiction, accusation, sub-share and
// dealing.
const votesPerMember = 2 * (limits.roundsKept + limits.roundsAheadMax + 4);
const namesPerMember = votesPerMember + 4 * limits.plansPerMemberMax + limits.membersMax + 8;
assert(8 * (limits.membersMax * namesPerMember + limits.proposalRoundsKept + 4) <= limits.seenBytesMax);
// What a restarted member said: it leads every round in the worst case, and votes twice in each.
assert(
  votesPerMember + 2 * limits.plansPerMemberMax + limits.proposalRoundsKept + 4 <= limits.recalledPacketsMax,
);
assert(limits.proposalRoundsKept <= limits.roundsKept);
assert(limits.earlyBytesMax <= limits.earlyTotalBytesMax);
