/** Proof that the simulator can fail: rules broken one at a time, each by a small change where it is kept. */
import type { RunOptions } from './options.ts';

export interface Break {
  /** Below `src/`. */
  file: string;
  rule: string;
  broken: string;
}

export interface Sabotage extends Break {
  /** What the code does now that it must not. */
  name: string;
  /** Where the same rule is kept once more. */
  also?: Break;
  /** What brings it out soonest. */
  options: Partial<Omit<RunOptions, 'seed'>>;
  /** The statements of protocol §7 that may fall first. */
  statements: readonly string[];
  /** Seeds within which it must be caught. */
  seedsMax: number;
}

const small = {
  peers: 4,
  threshold: 2,
  faultModel: 'byzantine',
  files: false,
  restores: 0,
  gate: 0,
  dying: false,
} as const;
const calm = { ...small, crashes: 0, partitions: 0, liars: 0 } as const;
const lying = { ...small, crashes: 0, partitions: 0, lossRate: 0, liars: 1, liesLast: true } as const;
const recovering = { ...lying, crashes: 6, orders: 0, safetyMs: 6_000 } as const;
const unsettled = {
  ...lying,
  crashes: 3,
  partitions: 3,
  lossRate: 0.3,
  safetyMs: 8_000,
  livenessMs: 30_000,
} as const;
const seven = { ...lying, peers: 7, threshold: 3, liars: 2 } as const;
/** Members start again all the time, and another one lies about what they said before. */
const forgetful = { ...seven, liars: 1, crashes: 6, safetyMs: 6_000, livenessMs: 15_000 } as const;

export const sabotages: readonly Sabotage[] = [
  {
    name: 'outputs leave before what they say is durable',
    file: 'node/driver/driver.ts',
    rule: 'await this.#persist(outputs);',
    broken: 'void this.#persist(outputs);',
    options: calm,
    statements: ['4'],
    seedsMax: 2,
  },
  {
    name: 'the old share is erased without a retire proof',
    file: 'protocol/apply.ts',
    rule: 'if (work.durable.own.retired >= value.epoch || work.durable.retires[value.epoch] === undefined)',
    broken: 'if (work.durable.own.retired >= value.epoch || !holdsShare(work))',
    options: { ...small, crashes: 2, partitions: 3, lossRate: 0.3, liars: 0 },
    statements: ['4', '5'],
    seedsMax: 20,
  },
  {
    name: 'a lock is not kept',
    file: 'protocol/agree.ts',
    rule: 'locked === null || locked.value === hex(hash)',
    broken: 'locked !== undefined || locked.value === hex(hash)',
    options: {
      ...small,
      crashes: 0,
      partitions: 4,
      lossRate: 0.4,
      liars: 1,
      lies: ['withheld-votes', 'two-votes'],
      orders: 0,
      safetyMs: 8_000,
    },
    statements: ['1'],
    seedsMax: 100,
  },
  {
    name: 'a quorum is one too small',
    file: 'protocol/roster.ts',
    rule: 'n - faultsOf(n, k, model)',
    broken: 'n - faultsOf(n, k, model) - 1',
    options: calm,
    statements: ['1', '4'],
    seedsMax: 2,
  },
  {
    name: 'a Have is sent without a share',
    file: 'protocol/deal.ts',
    rule: '!holdsShare(work) ||\n      memberAt(draft.roster',
    broken: 'memberAt(draft.roster',
    options: { ...small, crashes: 6, partitions: 3, lossRate: 0.25, liars: 0, safetyMs: 8_000 },
    statements: ['4'],
    seedsMax: 60,
  },
  {
    name: 'dealings are held for whatever plan',
    file: 'protocol/deal.ts',
    rule: '.filter(([, held]) => hex(held.plan) === plan)',
    broken: '.filter(() => plan.length > 0)',
    also: {
      file: 'protocol/validity.ts',
      rule: 'if (half.epoch !== epoch || !sameBytes(half.plan, plan))',
      broken: 'if (half.epoch !== epoch && !sameBytes(half.plan, plan))',
    },
    options: { ...calm, orders: 6, livenessMs: 15_000 },
    statements: ['3', '5'],
    seedsMax: 20,
  },
  {
    name: 'a sign is not folded',
    file: 'crypto/rsa-sharing.ts',
    rule: 'return fold(key.constant * hidden, key.modulus);',
    broken: 'return (key.constant * hidden) % key.modulus;',
    options: calm,
    statements: ['2', '4', '5'],
    seedsMax: 2,
  },
  {
    name: 'evidence is not counted',
    file: 'protocol/validity.ts',
    rule: 'if (holders.size < holdersNeededFor(view, draft))',
    broken: 'if (holders.size < 0)',
    options: { ...lying, lies: ['withheld-dealing', 'dealings-that-nobody-holds'] },
    statements: ['4'],
    seedsMax: 40,
  },
  {
    name: 'weights are left out',
    file: 'node/driver/jobs.ts',
    rule: 'checks.map(() => bytesToInteger(randomBytes(16)))',
    broken: 'checks.map(() => 1n)',
    options: { ...seven, lies: ['errors-that-cancel'] },
    statements: ['2'],
    seedsMax: 20,
  },
  {
    name: 'a false sub-share is not refused',
    file: 'node/driver/jobs.ts',
    rule: 'if (!checkSubShare(single)) refused',
    broken: 'if (checkSubShare(single) && refused.size < 0) refused',
    options: { ...lying, lies: ['false-sub-share-to-some'] },
    statements: ['2'],
    seedsMax: 5,
  },
  {
    name: 'a restarted peer votes at once',
    file: 'protocol/step.ts',
    rule: '  beginRecall(work);\n',
    broken: '',
    options: {
      ...small,
      crashes: 0,
      partitions: 2,
      lossRate: 0.3,
      liars: 0,
      restores: 1,
      safetyMs: 8_000,
      livenessMs: 15_000,
    },
    statements: ['1'],
    seedsMax: 100,
  },
  {
    name: 'a value may rest on fewer than k dealings',
    file: 'protocol/validity.ts',
    rule: 'if (dealers.length < draft.threshold || dealers.length < parent.threshold)',
    broken: 'if (dealers.length < 0)',
    options: { ...lying, lies: ['too-few-dealings'] },
    statements: ['3'],
    seedsMax: 20,
  },
  {
    name: 'a retire proof is believed',
    file: 'protocol/apply.ts',
    rule: '  checkRetireProof(work, proof);\n  work.put',
    broken: '  work.put',
    options: { ...lying, lies: ['forged-retire-proof'] },
    statements: ['4'],
    seedsMax: 20,
  },
  {
    name: 'a certificate is believed',
    file: 'protocol/adopt.ts',
    rule: '    checkLink(work.genesis, work.clusterId, headOf(work), link);\n',
    broken: '',
    options: { ...lying, lies: ['forged-link'] },
    statements: ['1'],
    seedsMax: 5,
  },
  {
    name: 'signatures of messages are not checked',
    file: 'protocol/step.ts',
    rule: 'if (!verifyPacket(work.clusterId, member.epochKey, carried.packet))',
    broken: 'if (member.epochKey.length === 0)',
    options: { ...lying, lies: ['forged-votes'] },
    statements: ['1', '4', '5'],
    seedsMax: 20,
  },
  {
    name: 'members attend before they have retired what is older',
    file: 'protocol/attend.ts',
    rule: "if (!retiredHead(view)) return 'not-retired';",
    broken: '',
    options: { ...small, crashes: 3, partitions: 2, liars: 0 },
    statements: ['3', '4'],
    seedsMax: 20,
  },
  {
    name: 'old shares are kept',
    file: 'protocol/apply.ts',
    rule: "work.retain('shares', (epoch) => Number(epoch) >= value.epoch);",
    broken: '',
    options: calm,
    statements: ['3'],
    seedsMax: 2,
  },
  {
    name: 'sub-shares are kept',
    file: 'protocol/apply.ts',
    rule: "for (const section of ['attended', 'dealt', 'outbox', 'subShares', 'publics'] as const) work.clear(section);",
    broken: "for (const section of ['attended', 'dealt', 'outbox', 'publics']) work.clear(section);",
    options: calm,
    statements: ['3'],
    seedsMax: 2,
  },
  {
    name: 'own dealings are kept',
    file: 'protocol/apply.ts',
    rule: "for (const section of ['attended', 'dealt', 'outbox', 'subShares', 'publics'] as const) work.clear(section);",
    broken: "for (const section of ['attended', 'outbox', 'subShares', 'publics']) work.clear(section);",
    options: calm,
    statements: ['3'],
    seedsMax: 2,
  },
  {
    name: 'epoch secrets are kept',
    file: 'protocol/apply.ts',
    rule: "  work.retain('epochSecrets', (key) => self !== undefined && key === hex(self.epochKey));\n",
    broken: '',
    options: calm,
    statements: ['3'],
    seedsMax: 2,
  },
  {
    name: 'a malformed message ends the process',
    file: 'protocol/codec.ts',
    rule: "throw new ProtocolError('malformed', 'not canonical CBOR');\n  }",
    broken: "throw new Error('not canonical CBOR');\n  }",
    options: { ...lying, lies: ['flood-of-noise'] },
    statements: ['6'],
    seedsMax: 3,
  },
  {
    name: 'messages of an undecided epoch are not sent again',
    file: 'protocol/catch-up.ts',
    rule: 'if (work.nowMs < work.volatile.resendAtMs) return false;',
    broken: 'if (work.nowMs >= 0) return false;',
    options: { ...small, lossRate: 0.2, crashes: 2, partitions: 2, liars: 0, livenessMs: 30_000 },
    statements: ['5'],
    seedsMax: 20,
  },
  {
    name: 'a helper gives its sum for whatever choice it is told',
    file: 'protocol/recovery/summing.ts',
    rule: '  if (accepts.length === 0) return accept(work, message);\n  checkAccepts(work, message, accepts);\n',
    broken: '',
    options: { ...lying, lies: ['two-choices'] },
    statements: ['3'],
    seedsMax: 5,
  },
  {
    name: 'a mask is reused across runs',
    file: 'protocol/recovery/helping.ts',
    rule: '  if (helping === null || self === undefined) return;\n  const bytes = encode({',
    broken:
      '  if (helping === null || self === undefined) return;\n' +
      '  const kept = (globalThis.masks ??= new Map());\n' +
      '  const name = [work.peer, result.commitments.length, result.commitments[0]?.length].join();\n' +
      '  result = kept.get(name) ?? result;\n' +
      '  kept.set(name, result);\n' +
      '  const bytes = encode({',
    options: recovering,
    statements: ['3'],
    seedsMax: 20,
  },
  {
    name: 'a grant serves two runs',
    file: 'protocol/recovery/helping.ts',
    rule: '  patch(work, { granted: rest });\n',
    broken: '',
    options: { ...recovering, lies: ['two-runs-under-one-grant'] },
    statements: ['3'],
    seedsMax: 20,
  },
  {
    name: 'grants are not checked',
    file: 'protocol/recovery/helping.ts',
    rule: '  checkGrants(work, message, grants);\n',
    broken: '',
    options: { ...recovering, lies: ['run-with-keys-of-its-own'] },
    statements: ['3'],
    seedsMax: 10,
  },
  {
    name: 'recovery messages are not signed',
    file: 'protocol/step.ts',
    rule: 'if (!verifyPacket(work.clusterId, member.epochKey, packet))',
    broken: 'if (member.epochKey.length === 0)',
    options: { ...recovering, lies: ['masks-in-others-names'] },
    statements: ['3', '4', '5'],
    seedsMax: 20,
  },
  {
    name: 'dealings are not signed',
    file: 'protocol/deal.ts',
    rule: 'if (!signers.some((key) => verifyPacket(work.clusterId, key, packet)))',
    broken: 'if (signers.length === 0)',
    options: { ...lying, lies: ['dealings-in-others-names'] },
    statements: ['4'],
    seedsMax: 10,
  },
  {
    name: 'what others remember is not signed',
    file: 'protocol/recall.ts',
    rule: '      message.by !== self.index ||\n      !verifyPacket(work.clusterId, self.epochKey, packet)\n',
    broken: '      message.by !== self.index\n',
    options: { ...recovering, lies: ['false-memories'] },
    statements: ['5'],
    seedsMax: 20,
  },
  {
    name: 'an answer to a restarted peer is not signed',
    file: 'protocol/recall.ts',
    rule: ' || !verifyPacket(work.clusterId, elector.epochKey, signed))',
    broken: ')',
    options: { ...forgetful, lies: ['memories-in-others-names'] },
    statements: ['1'],
    seedsMax: 10,
  },
  {
    // The signature inside is the second line, and falls too.
    name: 'gossip counts as authenticated',
    file: 'protocol/paths.ts',
    rule: "const ofMembers: readonly Path[] = ['proven'];",
    broken: "const ofMembers: readonly Path[] = ['proven', 'gossip'];",
    also: {
      file: 'protocol/recall.ts',
      rule: ' || !verifyPacket(work.clusterId, elector.epochKey, signed))',
      broken: ')',
    },
    options: { ...forgetful, lies: ['published-memories'] },
    statements: ['1'],
    seedsMax: 10,
  },
  {
    name: 'shown prevotes are not signed',
    file: 'protocol/agree.ts',
    rule: 'return fits && member !== undefined && verifyPacket(view.clusterId, member.epochKey, packet)',
    broken: 'return fits && member !== undefined',
    options: { ...unsettled, lies: ['false-valid-round'] },
    statements: ['1'],
    seedsMax: 60,
  },
  {
    name: 'one prevote is enough to propose a value again',
    file: 'protocol/agree.ts',
    rule: 'prevotersOf(work, entry, hash).size >= changeQuorum(work)',
    broken: 'prevotersOf(work, entry, hash).size >= 1',
    options: { ...unsettled, lies: ['false-valid-round'] },
    statements: ['1'],
    seedsMax: 60,
  },
  {
    name: 'the signature in a retire proof is believed',
    file: 'protocol/apply.ts',
    rule: 'modulus) !== block)',
    broken: 'modulus) === -1n)',
    options: { ...unsettled, lies: ['retire-proof-that-never-signed'] },
    statements: ['4'],
    seedsMax: 20,
  },
  {
    name: 'only the first proposal of a value is looked at',
    file: 'protocol/agree.ts',
    rule: "if (verdict.verdict === 'valid') return { entry, commitments: verdict.commitments };",
    broken: "return verdict.verdict === 'valid' ? { entry, commitments: verdict.commitments } : null;",
    options: { ...lying, lies: ['another-value-with-nothing-behind-it'], livenessMs: 30_000 },
    statements: ['5'],
    seedsMax: 20,
  },
  {
    name: 'no round ends undecided',
    file: 'protocol/agree.ts',
    rule: "if (!timedOut(work, 'precommit') || rounds.round >= limits.roundMax) return false;",
    broken: 'if (rounds.round >= 0) return false;',
    options: { ...lying, lies: ['no-proposal'], livenessMs: 30_000 },
    statements: ['5'],
    seedsMax: 10,
  },
  {
    name: 'ancestor unchecked',
    file: 'protocol/order.ts',
    rule: 'if (ancestor === undefined || !sameBytes(ancestor, body.ancestor))',
    broken: 'if (ancestor === body.ancestor && ancestor === undefined)',
    options: { ...lying, lies: ['order-of-another-branch'], orders: 0 },
    statements: ['7'],
    seedsMax: 5,
  },
  {
    name: 'half an order applied',
    file: 'protocol/draft.ts',
    rule: 'for (const action of order.body.actions) applyAction({ genesis, clusterId, parent }, draft, action);',
    broken: `try {
      for (const action of order.body.actions) applyAction({ genesis, clusterId, parent }, draft, action);
    } catch {
      // what was done before the action that does not fit stays done
    }`,
    options: { ...calm, orders: 3 },
    statements: ['7'],
    seedsMax: 20,
  },
  {
    name: 'orders may leave too few that attend',
    file: 'protocol/draft.ts',
    rule: 'checkAttendance(genesis, parent, draft);',
    broken: '',
    options: { ...lying, lies: ['two-attends'], orders: 3, livenessMs: 30_000 },
    statements: ['5'],
    seedsMax: 20,
  },
];
