/**
 * What RSA keys do: they sign (PKCS#1 v1.5 and PSS, RFC 8017 §8) and decrypt (the raw operation of
 * RSAES-OAEP, RFC 8017 §7.1: hash and label stay with the client, and only the client unpads). Both are x^d
 * for a block x (protocol §2 "Use").
 */
import { z } from 'zod';
import { base64Bytes, hexText } from '../../crypto/bytes-as-text.ts';
import { EncodingError } from '../../crypto/errors.ts';
import { hashOf, sha256 } from '../../crypto/hash.ts';
import { bitLength, bytesToInteger, decodeSigned, integerToBytes } from '../../crypto/integers.ts';
import {
  type Asked,
  AskedError,
  type GivenPartial,
  type Operation,
  type UseStatement,
} from '../kind/operation.ts';
import {
  decodeOaep,
  digestBytes,
  encodePkcs1,
  encodePss,
  type HashName,
  hashNames,
  trialBlock,
} from './encoding.ts';
import { blindingBytes, modPow } from './engine.ts';
import { fold, isUnit } from './group.ts';
import { elementOf } from './numbers.ts';
import { signatureSchemes, verifySignature } from './public-forms.ts';
import { refutedPartials } from './refuted-partials.ts';
import { parametersOf, publicOf } from './setting.ts';
import {
  combineRobust,
  decodeProof,
  encodeProof,
  nonceBytes,
  type Proof,
  partial,
  prove,
} from './signing.ts';

/** As long as the longest modulus. */
const numberBytesMax = 512;

const signAsked = z.strictObject({
  scheme: z.enum(signatureSchemes),
  hash: z.enum(hashNames),
  digest: hexText(/^([0-9a-f]{2}){1,64}$/, 'must be a digest in lower-case hex').describe(
    'as long as the hash makes it',
  ),
  salt: base64Bytes(64).prefault('').describe('as long as the digest for PSS, empty for PKCS#1'),
});
export type SignAsked = z.output<typeof signAsked>;

/**
 * What a request for a signature of this digest asks.
 * @param salt of PSS: as many secret random bytes as the digest has; PKCS#1 has none
 */
export const rsaSignature = (
  asked: Pick<SignAsked, 'scheme' | 'hash' | 'digest'>,
  salt: (length: number) => Uint8Array,
): SignAsked => ({ ...asked, salt: salt(asked.scheme === 'pss' ? digestBytes[asked.hash] : 0) });

const decryptAsked = z.strictObject({
  ciphertext: base64Bytes(numberBytesMax).describe('as long as the modulus'),
});
type DecryptAsked = z.output<typeof decryptAsked>;

/** Under which something was encrypted (RSAES-OAEP, RFC 8017 §7.1); MGF1 uses the same hash. */
export interface OaepPadding {
  readonly [field: string]: string | Uint8Array;
  readonly hash: HashName;
  readonly label: Uint8Array;
}

/** What proofs of partials are bound to besides their numbers: key id and epoch (protocol §2). */
export const proofContext = (key: Uint8Array, epoch: number): Uint8Array =>
  hashOf('holdfast/partial-context/1', key, integerToBytes(BigInt(epoch), 8));

/** Null for bytes that are no proof. */
export function proofOf(bytes: Uint8Array): Proof | null {
  try {
    return decodeProof(bytes);
  } catch (error) {
    if (error instanceof EncodingError) return null;
    throw error;
  }
}

const modulusBytes = (modulus: bigint): number => Math.ceil(bitLength(modulus) / 8);

/** A partial is as long as the modulus. One that is not stands as 0, which is no unit and never combines. */
const readPartials = (
  given: ReadonlyMap<number, GivenPartial>,
  length: number,
): Map<number, { partial: bigint; proof: Proof | null }> =>
  new Map(
    [...given].map(([index, { partial: bytes, proof }]) => [
      index,
      {
        partial: bytes.length === length ? bytesToInteger(bytes) : 0n,
        proof: proof === null ? null : proofOf(proof),
      },
    ]),
  );

/** Partial and combination for a block; the two operations differ in how the block is made. */
function rootOf(
  blockOf: (asked: Asked, modulusBits: number) => bigint,
): Pick<Operation, 'nonces' | 'partial' | 'combine'> {
  const readStatement = ({ setting, key: id, epoch, asked }: UseStatement) => {
    const key = publicOf(setting.public);
    const parameters = parametersOf(setting);
    const block = blockOf(asked, parameters.modulusBits);
    return { key, parameters, block, context: proofContext(id, epoch), length: modulusBytes(key.modulus) };
  };
  return {
    nonces: null,

    partial({ statement, share: shareBytes, index, prove: proving, randomBytes }) {
      const { length, context, ...common } = readStatement(statement);
      const share = decodeSigned(shareBytes);
      const made = partial({ ...common, share, blinding: randomBytes(blindingBytes) });
      const proof = (): Uint8Array =>
        encodeProof(
          prove({
            ...common,
            context,
            share,
            index,
            partial: made,
            nonceBytes: randomBytes(nonceBytes(common.parameters)),
            blinding: randomBytes(blindingBytes),
          }),
        );
      return { partial: integerToBytes(made, length), proof: proving ? proof() : null };
    },

    combine({ statement, commitments, partials: given, failed }) {
      const { length, ...common } = readStatement(statement);
      const partials = readPartials(given, length);
      const asked = { ...common, partials, commitments: commitments.map(elementOf) };
      const result = combineRobust(asked);
      return {
        result: result.signature === null ? null : integerToBytes(result.signature, length),
        culprits: result.culprits,
        suspects: result.suspects,
        refuted: refutedPartials({ ...asked, result, failed: readPartials(failed, length) }),
      };
    },
  };
}

/** The caller knows the shape: what a request asks is checked when it is read. */
const signIn = (asked: Asked): SignAsked => asked as SignAsked;
const decryptIn = (asked: Asked): DecryptAsked => asked as DecryptAsked;

export const rsaSign: Operation = {
  ...rootOf((asked, modulusBits) => {
    const { scheme, hash, digest, salt } = signIn(asked);
    return scheme === 'pkcs1'
      ? encodePkcs1(hash, digest, modulusBits)
      : encodePss(hash, digest, salt, modulusBits);
  }),
  asked: signAsked,
  schemes: signatureSchemes,
  schemeOf: (asked) => signIn(asked).scheme,
  digestOf: (asked) => signIn(asked),

  checkForm(asked) {
    const { hash, digest } = signIn(asked);
    if (digest.length !== digestBytes[hash])
      throw new AskedError(
        'wrong-digest',
        `a ${hash} digest has ${digestBytes[hash]} bytes, and this has ${digest.length}`,
      );
  },

  check({ asked }) {
    const { scheme, hash, salt } = signIn(asked);
    if (salt.length !== (scheme === 'pss' ? digestBytes[hash] : 0))
      throw new AskedError('wrong-scheme', 'the salt does not fit the scheme');
  },

  verify({ publicBytes, asked, result: signature }) {
    const { scheme, hash, digest } = signIn(asked);
    if (digest.length !== digestBytes[hash]) return false;
    return verifySignature({ key: publicOf(publicBytes), scheme, hash, signed: { digest }, signature });
  },
};

export const rsaDecrypt: Operation = {
  ...rootOf((asked) => bytesToInteger(decryptIn(asked).ciphertext)),
  asked: decryptAsked,
  schemes: [],
  schemeOf: () => null,
  digestOf: (asked) => ({ hash: null, digest: sha256(decryptIn(asked).ciphertext) }),
  checkForm() {},

  /**
   * A decryption is x^d for an x of the client's choice: never for the block by which the newest value
   * retires the old shares (§2, §4.4), nor for its negative, of which partials say the same.
   */
  check({ publicBytes, asked, trial }) {
    const { ciphertext } = decryptIn(asked);
    const { modulus } = publicOf(publicBytes);
    const length = modulusBytes(modulus);
    if (ciphertext.length !== length)
      throw new AskedError(
        'wrong-ciphertext',
        `a ciphertext for this key has ${length} bytes, and this has ${ciphertext.length}`,
      );
    const block = bytesToInteger(ciphertext);
    if (!isUnit(block, modulus))
      throw new AskedError('wrong-ciphertext', 'the ciphertext is no unit below the modulus');
    if (fold(block, modulus) === fold(trialBlock(trial.value, trial.key, modulus), modulus))
      throw new AskedError('trial-block', 'the ciphertext is the trial block of the newest epoch');
  },

  /** The result is the padded block y with y^e = x. */
  verify({ publicBytes, asked, result }) {
    const { modulus, exponent } = publicOf(publicBytes);
    const block = bytesToInteger(result);
    return (
      block < modulus && modPow(block, exponent, modulus) === bytesToInteger(decryptIn(asked).ciphertext)
    );
  },

  plaintextIn({ publicBytes, result, padding }) {
    const { hash, label } = padding as OaepPadding;
    return decodeOaep(hash, label, bytesToInteger(result), bitLength(publicOf(publicBytes).modulus));
  },
};
