/** Sabotages of the rules of a recovery (protocol §5). */
import { lying, recovering, type Sabotage } from './sabotage-options.ts';

export const recoverySabotages: readonly Sabotage[] = [
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
    rule: '  if (helping === null || self === undefined) return;\n  const half: DealingPublic = {',
    broken:
      '  if (helping === null || self === undefined) return;\n' +
      '  const kept = (globalThis.masks ??= new Map());\n' +
      '  const name = [work.peer, result.parts.length, result.parts[0]?.commitments.length].join();\n' +
      '  result = kept.get(name) ?? result;\n' +
      '  kept.set(name, result);\n' +
      '  const half: DealingPublic = {',
    options: recovering,
    statements: ['3'],
    seedsMax: 20,
  },
  {
    name: 'a grant serves two runs',
    file: 'protocol/recovery/helping.ts',
    rule: '  updateRecovery(work, { granted: rest });\n',
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
    file: 'protocol/frames.ts',
    rule: 'if (!verifyPacket(work.clusterId, member.epochKey, packet))',
    broken: 'if (member.epochKey.length === 0)',
    options: { ...recovering, lies: ['masks-in-others-names'] },
    statements: ['3', '4', '5'],
    seedsMax: 20,
  },
];
