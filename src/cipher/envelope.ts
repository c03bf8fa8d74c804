import { sharedSecret } from '../crypto/key-agreement.ts';
import { rawKeyBytes, secretKeyOf } from '../crypto/raw-keys.ts';
import {
  assertKey32,
  checkSealedBytes,
  openLayers,
  readSealedHeader,
  sealedHeader,
  sealedHeaderBytes,
  sealLayers,
  tagBytes,
} from './layers.ts';
import type { CipherName } from './local-cipher.ts';
import { SealError } from './seal-error.ts';

/*
 * The envelope in which a number travels to its receiver (protocol §3, place 2). Lengths are in bytes.
 *
 *     version (1) ‖ cipher (1) ‖ ephemeral public key (32) ‖ outer ciphertext ‖ tag (16)
 *
 * The secret is X25519 (RFC 7748) of the ephemeral key and the receiver's one-time sealing key. The header,
 * both public keys and the caller's context are authenticated.
 */

export const envelopePlaintextBytesMax = 64 * 1024;
const headerBytes = sealedHeaderBytes + rawKeyBytes;
/** An envelope is longer than its plaintext by this number of bytes. */
export const envelopeOverheadBytes = headerBytes + tagBytes;

/**
 * Seals `plaintext` for the owner of `receiverKey` (X25519, 32 bytes). A peer sent that key, and it is not
 * trusted.
 *
 * - `entropy`: 32 uniformly random bytes, for this envelope only.
 * - `context`: canonical bytes of all that the number belongs to (epoch, plan, key id, dealing digest,
 *   sender, receiver). The receiver must give the same bytes to `open`.
 * - `plaintext`: at most `envelopePlaintextBytesMax` bytes. Its length is visible in the envelope, so callers
 *   pad numbers to a fixed length.
 *
 * @throws SealError `weak-public-key`, `malformed` or `too-large`
 */
export function seal(request: {
  readonly cipher: CipherName;
  readonly receiverKey: Uint8Array;
  readonly entropy: Uint8Array;
  readonly context: Uint8Array;
  readonly plaintext: Uint8Array;
}): Uint8Array {
  const { cipher, receiverKey, entropy, context, plaintext } = request;
  if (plaintext.length > envelopePlaintextBytesMax) {
    throw new SealError('too-large', `an envelope holds at most ${envelopePlaintextBytesMax} bytes`);
  }
  assertKey32(entropy);
  const ephemeralKey = secretKeyOf('x25519', entropy).publicKey;
  const header = Buffer.concat([sealedHeader(cipher), ephemeralKey]);
  const secret = secretWith(entropy, receiverKey);
  const sealed = sealLayers(
    envelopeLayers(cipher, secret, ephemeralKey, receiverKey, header, context),
    plaintext,
  );
  secret.fill(0);
  return new Uint8Array(Buffer.concat([header, sealed]));
}

/**
 * Opens an envelope from a peer. The envelope itself names its cipher. `secretKey` is the receiver's one-time
 * sealing key (32 bytes).
 * @throws SealError for everything that `seal` cannot have made for this key and context
 */
export function open(request: {
  readonly secretKey: Uint8Array;
  readonly context: Uint8Array;
  readonly envelope: Uint8Array;
}): Uint8Array {
  const { secretKey, context, envelope } = request;
  assertKey32(secretKey);
  checkSealedBytes(envelope, envelopeOverheadBytes, envelopePlaintextBytesMax);
  const cipher = readSealedHeader(envelope);
  const header = envelope.subarray(0, headerBytes);
  const ephemeralKey = envelope.subarray(sealedHeaderBytes, headerBytes);
  const secret = secretWith(secretKey, ephemeralKey);
  try {
    const { publicKey } = secretKeyOf('x25519', secretKey);
    const layers = envelopeLayers(cipher, secret, ephemeralKey, publicKey, header, context);
    return openLayers(layers, envelope.subarray(headerBytes));
  } finally {
    secret.fill(0);
  }
}

function envelopeLayers(
  cipher: CipherName,
  secret: Uint8Array,
  ephemeralKey: Uint8Array,
  receiverKey: Uint8Array,
  header: Uint8Array,
  context: Uint8Array,
) {
  const publicKeys = Buffer.concat([ephemeralKey, receiverKey]);
  const associated = Buffer.concat([header, receiverKey, context]);
  return { place: 'envelope', cipher, secret, publicKeys, associated };
}

/**
 * The shared secret (32 bytes).
 * @throws SealError `malformed` for a key of another length, `weak-public-key` for a key that protects
 * nothing
 */
function secretWith(secretKey: Uint8Array, publicKey: Uint8Array): Uint8Array {
  if (publicKey.length !== rawKeyBytes)
    throw new SealError('malformed', `a sealing key has ${rawKeyBytes} bytes`);
  const secret = sharedSecret(secretKey, publicKey);
  if (secret === null)
    throw new SealError('weak-public-key', 'this sealing key has small order and would protect nothing');
  return secret;
}
