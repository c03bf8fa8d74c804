/** A shared key's public half as other programs read it, and the check of a signature as they make it. */
import * as crypto from 'node:crypto';
import { EncodingError } from '../../crypto/errors.ts';
import { bitLength, bytesToInteger, integerToBytes } from '../../crypto/integers.ts';
import { encodePkcs1, type HashName, isPssBlock } from './encoding.ts';
import { modPow } from './engine.ts';

export interface RsaPublicKey {
  readonly modulus: bigint;
  readonly exponent: bigint;
}
type RsaJwk = Readonly<Record<'kty' | 'n' | 'e', string>>;
export const signatureSchemes = ['pkcs1', 'pss'] as const;
export type SignatureScheme = (typeof signatureSchemes)[number];

const shortest = (n: bigint): Uint8Array => integerToBytes(n, Math.ceil(bitLength(n) / 8));
const base64url = (n: bigint): string => Buffer.from(shortest(n)).toString('base64url');

/** RFC 7517, RFC 7518 §6.3.1. */
export const publicKeyJwk = (key: RsaPublicKey): RsaJwk => ({
  kty: 'RSA',
  n: base64url(key.modulus),
  e: base64url(key.exponent),
});

const keyObjectOf = (key: RsaPublicKey): crypto.KeyObject =>
  crypto.createPublicKey({ key: publicKeyJwk(key), format: 'jwk' });

/** SubjectPublicKeyInfo in PEM, as OpenSSL reads it. */
export const publicKeyPem = (key: RsaPublicKey): string =>
  keyObjectOf(key).export({ type: 'spki', format: 'pem' }).toString();

/** @throws EncodingError for anything but an RSA public key in PEM */
export const publicKeyFromPem = (pem: string): RsaPublicKey => {
  let jwk: crypto.JsonWebKey;
  try {
    jwk = crypto.createPublicKey(pem).export({ format: 'jwk' });
  } catch {
    throw new EncodingError('this is no public key in PEM');
  }
  if (jwk.kty !== 'RSA' || jwk.n === undefined || jwk.e === undefined)
    throw new EncodingError('this is no RSA public key');
  const integer = (text: string): bigint => bytesToInteger(Buffer.from(text, 'base64url'));
  return { modulus: integer(jwk.n), exponent: integer(jwk.e) };
};

/** The key blob of RFC 4253 §6.6: "ssh-rsa", e, N. */
const sshKeyBlob = (key: RsaPublicKey): Uint8Array => {
  const field = (bytes: Uint8Array): Buffer =>
    Buffer.concat([integerToBytes(BigInt(bytes.length), 4), bytes]);
  // An mpint is signed: a zero byte goes before a set high bit (RFC 4251 §5).
  const mpint = (n: bigint): Buffer => field(integerToBytes(n, Math.floor(bitLength(n) / 8) + 1));
  const fields = [field(Buffer.from('ssh-rsa')), mpint(key.exponent), mpint(key.modulus)];
  return new Uint8Array(Buffer.concat(fields));
};

/** One line, as in `id_rsa.pub` and `authorized_keys`. */
export const publicKeySsh = (key: RsaPublicKey, comment = ''): string =>
  `ssh-rsa ${Buffer.from(sshKeyBlob(key)).toString('base64')} ${comment}`.trimEnd();

/**
 * Whether this is the key's signature of the data (checked by OpenSSL), or of a digest whose data is not at
 * hand. PSS takes a salt of any length and MGF1 with the same hash. False, never an error, for any signature
 * bytes.
 * @param check.signature as long as the modulus @throws EncodingError for a digest that is not of this hash
 */
export const verifySignature = (check: {
  key: RsaPublicKey;
  scheme: SignatureScheme;
  hash: HashName;
  signed: { data: Uint8Array } | { digest: Uint8Array };
  signature: Uint8Array;
}): boolean => {
  const { key, scheme, hash, signed, signature } = check;
  if ('data' in signed) {
    const padding =
      scheme === 'pss' ? crypto.constants.RSA_PKCS1_PSS_PADDING : crypto.constants.RSA_PKCS1_PADDING;
    // The default salt length in verification is "whatever the signature has".
    return crypto.verify(hash, signed.data, { key: keyObjectOf(key), padding }, signature);
  }
  const modulusBits = bitLength(key.modulus);
  const y = bytesToInteger(signature);
  if (signature.length !== Math.ceil(modulusBits / 8) || y >= key.modulus) return false;
  const block = modPow(y, key.exponent, key.modulus);
  return scheme === 'pkcs1'
    ? block === encodePkcs1(hash, signed.digest, modulusBits)
    : isPssBlock(hash, signed.digest, block, modulusBits);
};
