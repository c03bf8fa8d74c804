/** A request to sign (protocol §6), made and signed by whoever holds a client's key; any HTTP program can post it. */

import { randomBytes } from 'node:crypto';
import type { HashName } from '../keys/rsa/encoding.ts';
import { digestBytes } from '../keys/rsa/encoding.ts';
import type { SignatureScheme } from '../keys/rsa/public-forms.ts';
import { type SignBody, signUse, type UseRequest } from '../protocol/records/use-request.ts';
import type { SigningKey } from './signing-key.ts';

/** How long peers accept a request unless told otherwise: enough for clocks a minute apart and any wait for peers. */
export const requestLifetimeMs = 2 * 60_000;

/** With a fresh nonce, and for PSS a fresh salt. The same request again gets the same signature and counts once. */
export const newSignRequest = (options: {
  client: SigningKey;
  cluster: Uint8Array;
  key: Uint8Array;
  scheme: SignatureScheme;
  hash: HashName;
  digest: Uint8Array;
  expiresAtMs: number;
}): UseRequest<SignBody> => {
  const { client, ...asked } = options;
  return signUse(client.seed, {
    ...asked,
    operation: 'sign',
    client: client.publicKey,
    salt: new Uint8Array(randomBytes(asked.scheme === 'pss' ? digestBytes[asked.hash] : 0)),
    nonce: new Uint8Array(randomBytes(16)),
  });
};
