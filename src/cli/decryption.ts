/**
 * The client's half of a decryption: it alone opens the sealed partials, combines them and unpads (protocol §2 "Use").
 * The daemon that collected them is not trusted: what it changes does not combine.
 */
import { randomBytes } from 'node:crypto';
import { SealError } from '../cipher/seal-error.ts';
import { decodeOaep, type HashName } from '../crypto/encoding.ts';
import { ArithmeticError, EncodingError } from '../crypto/errors.ts';
import { bitLength, bytesToInteger } from '../crypto/integers.ts';
import { sealingKeyFromSeed } from '../crypto/key-agreement.ts';
import { combineRobust, decodeProof, type Proof } from '../crypto/signing.ts';
import { proofContext } from '../node/jobs.ts';
import { openPartial } from '../node/use-sealing.ts';
import type { DecryptAnswer } from '../node/view.ts';
import { numberOf } from '../protocol/codec.ts';
import { ProtocolError } from '../protocol/errors.ts';
import { type DecryptBody, signUse, type UseRequest } from '../protocol/use-request.ts';
import { publicOf } from '../protocol/value.ts';
import type { SigningKey } from './key-files.ts';

export class Decryption {
  readonly request: UseRequest<DecryptBody>;
  /** X25519, for this one request. Secret; null once forgotten. */
  private secretKey: Uint8Array | null;

  constructor(options: {
    cluster: Uint8Array;
    key: Uint8Array;
    client: SigningKey;
    ciphertext: Uint8Array;
    expiresAtMs: number;
  }) {
    const { client, ...rest } = options;
    const seed = new Uint8Array(randomBytes(32));
    const { publicKey: sealingKey, secretKey } = sealingKeyFromSeed(seed);
    seed.fill(0);
    this.secretKey = secretKey;
    this.request = signUse(client.seed, {
      ...rest,
      operation: 'decrypt',
      client: client.publicKey,
      sealingKey,
      nonce: new Uint8Array(randomBytes(16)),
    });
  }

  /**
   * The padded block y with y^e = x, or null when the partials do not combine: ask again, with proofs. With proofs,
   * `culprits` names whose partial is false; a partial that does not open is.
   */
  combine(answer: DecryptAnswer): { block: bigint | null; culprits: string[] } {
    const key = publicOf(answer.key);
    const { epoch, threshold, membersMax } = answer;
    const modulusBits = bitLength(key.modulus);
    const partials = new Map<number, { partial: bigint; proof: Proof | null }>();
    for (const given of answer.partials) {
      const partial = this.open(epoch, given);
      if (partial !== null) partials.set(given.index, partial);
    }
    try {
      const { signature, culprits } = combineRobust({
        key,
        parameters: { membersMax, threshold, modulusBits },
        commitments: answer.commitments.map(numberOf),
        block: bytesToInteger(this.request.body.ciphertext),
        partials,
        context: proofContext(answer.key.id, epoch),
      });
      const names = answer.partials
        .filter(({ index }) => culprits.includes(index) || !partials.has(index))
        .map(({ name }) => name);
      return { block: signature, culprits: names };
    } catch (error) {
      // The daemon's public values are no key, or its indices no members.
      if (error instanceof ArithmeticError) return { block: null, culprits: [] };
      throw error;
    }
  }

  forget(): void {
    this.secretKey?.fill(0);
    this.secretKey = null;
  }

  private open(
    epoch: number,
    { index, envelope }: DecryptAnswer['partials'][number],
  ): { partial: bigint; proof: Proof | null } | null {
    if (this.secretKey === null) throw new Error('the one-time key is forgotten already');
    const tie = { body: this.request.body, epoch, index };
    try {
      const { partial, proof } = openPartial({ tie, secretKey: this.secretKey, envelope });
      return { partial, proof: proof === null ? null : decodeProof(proof) };
    } catch (error) {
      if (error instanceof SealError || error instanceof ProtocolError || error instanceof EncodingError)
        return null;
      throw error;
    }
  }
}

/** The plaintext in a padded block, or null for any defect: which one must not show. */
export function unpadded(
  block: bigint,
  modulus: bigint,
  padding: { hash: HashName; label: Uint8Array },
): Uint8Array | null {
  try {
    return decodeOaep(padding.hash, padding.label, block, bitLength(modulus));
  } catch (error) {
    if (error instanceof EncodingError) return null;
    throw error;
  }
}
