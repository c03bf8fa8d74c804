/** False answers of a hostile member to requests for a partial. */

import { randomBytes } from 'node:crypto';
import { elementBytes } from '../../src/keys/rsa/numbers.ts';
import type { HostilePeer } from '../../src/lab/hostile-peer.ts';
import type { PartialAnswer } from '../../src/node/use/partial-messages.ts';
import { encode } from '../../src/protocol/records/codec.ts';

const garbage: PartialAnswer = { type: 'partial', partial: elementBytes(12_345n), proof: null };

/** One way to answer falsely. `how` completes the name of a test. */
export interface FalseAnswer {
  how: string;
  /**
   * The problem's code in the status of the daemon that asked. Null when that daemon sees a lost connection.
   */
  code: string | null;
  respond: (hostile: HostilePeer) => Promise<Uint8Array>;
}

export const falseAnswers: readonly FalseAnswer[] = [
  { how: 'garbage for partials', code: 'false-partial', respond: async () => encode(garbage) },
  {
    how: 'what is no message',
    code: 'false-partial',
    respond: async () => new Uint8Array(randomBytes(300)),
  },
  { how: 'nothing, ever', code: 'slow-partial', respond: () => new Promise(() => {}) },
  {
    how: 'by hanging up',
    code: null,
    respond: async (hostile) => {
      await hostile.reconnect();
      throw new Error('no answer');
    },
  },
];
