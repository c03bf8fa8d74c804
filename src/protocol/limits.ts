/** Every bound on what a peer, client or operator can make us store or do, in one place, with their relations. */
import { strict as assert } from 'node:assert';

export const limits = {
  membersMax: 64,
  membersDefault: 20,
  keysMax: 32,
  clientsMax: 256,
  rightsPerClientMax: 32,
  operatorsMax: 16,
  ordersPerPlanMax: 16,
  /** What one order carries is done in one change, all of it or nothing. */
  actionsPerOrderMax: 16,
  orderBodyBytesMax: 60 * 1024,
  ordersPendingMax: 64,
  plansPerMemberMax: 18,
  /** Dealings that one value accepts: one of each member, and one of each key that is created. */
  dealingsMax: 64 + 32,
  roundMax: 2 ** 31,
  roundsAheadMax: 64,
  /** Votes of rounds further back go, but for the locked and the valid round: whoever decided then is locked since. */
  roundsKept: 64,
  /** Of one member in one undecided change: its Attends, Haves, proposals and votes. */
  recalledPacketsMax: 1024,
  /** A message of the next epoch that waits for the decision of this one. */
  earlyMessages: 256,
  earlyBytesMax: 128 * 1024,
  /** Changes of which accusations are kept, to be shown. */
  accusationEpochsKept: 16,
  /** Of one accuser, the newest: of both changes of which accusations are taken it can accuse everybody once. */
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
  /** Whoever keeps only the newest epochs in its archive keeps at least these: an admission may name a value so old. */
  archiveEpochsMin: 128,
  /** Epochs that leave the archive with one decision, so that a shorter setting is no one long write. */
  archiveEpochsDroppedAtOnce: 64,
  nameBytesMax: 63,
  addressesPerMemberMax: 16,
  addressBytesMax: 256,
  frameBytesMax: 4 * 1024 * 1024,
  requestBytesMax: 64 * 1024,
  groupElementBytesMax: 512,
  envelopeBytesMax: 4096,
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
// An order with all its signatures is handed in as one request, and an Attend with all its orders is one frame.
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
