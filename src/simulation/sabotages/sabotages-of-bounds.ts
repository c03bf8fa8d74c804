/** Sabotages of bounds. Without a bound all members keep what one member sends. */
import { type Break, calm, lying, type Sabotage } from './sabotage-options.ts';

/** A proposal is kept whatever its evidence proves. */
export const unjudged: Break = {
  file: 'protocol/change/proposal.ts',
  rule: 'if (why !== null) {',
  broken: 'if (why !== null && message.round < 0) {',
};

const flooded = { ...lying, lies: ['the-longest-of-everything'], safetyMs: 5_000 } as const;

export const boundSabotages: readonly Sabotage[] = [
  {
    name: 'a proposal is kept before it is judged',
    ...unjudged,
    options: flooded,
    statements: ['6'],
    seedsMax: 10,
  },
  {
    name: 'whatever comes beside a message is kept with it',
    file: 'protocol/records/change-messages.ts',
    rule: "(evidence === undefined || type === 'proposal') &&",
    broken: "(evidence === undefined || type !== 'attend') &&",
    options: flooded,
    statements: ['6'],
    seedsMax: 10,
  },
  {
    name: 'what is old is never dropped',
    file: 'protocol/change/adopt.ts',
    rule: 'dropExpired(work);',
    broken: '',
    options: { ...calm, safetyMs: 40_000 },
    statements: ['6'],
    seedsMax: 5,
  },
  {
    name: 'a malformed message ends the process',
    file: 'protocol/records/codec.ts',
    rule: "throw new ProtocolError('malformed', 'not canonical CBOR');\n  }",
    broken: "throw new Error('not canonical CBOR');\n  }",
    options: { ...lying, lies: ['flood-of-noise'] },
    statements: ['6'],
    seedsMax: 3,
  },
];
