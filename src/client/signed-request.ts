/**
 * A request to sign (protocol §6), made and signed by whoever holds a client's key; any HTTP program can post
 * it.
 */

import { randomBytes } from 'node:crypto';
import type { Asked } from '../keys/kind/operation.ts';
import { type SignBody, signUse, type UseRequest } from '../protocol/records/use-request.ts';
import type { SigningKey } from './signing-key.ts';

/**
 * How long peers accept a request unless told otherwise: enough for clocks a minute apart and any wait for
 * peers.
 */
export const requestLifetimeMs = 2 * 60_000;

/** With a fresh nonce. The same request again gets the same signature and counts once. */
export function newSignRequest(options: {
  client: SigningKey;
  cluster: Uint8Array;
  key: Uint8Array;
  kind: string;
  asked: Asked;
  expiresAtMs: number;
}): UseRequest<SignBody> {
  const { client, ...rest } = options;
  return signUse<SignBody>(client.seed, {
    v: 1,
    ...rest,
    operation: 'sign',
    client: client.publicKey,
    nonce: new Uint8Array(randomBytes(16)),
  });
}
