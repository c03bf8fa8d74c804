/** The blocks that are signed and decrypted, made from a digest (RFC 8017), and the trial block of an epoch. */
import { createHash } from 'node:crypto';
import { EncodingError } from '../../crypto/errors.ts';
import { expandedHashOf } from '../../crypto/hash.ts';
import { bitLength, bytesToInteger, integerToBytes } from '../../crypto/integers.ts';
import { isUnit } from './group.ts';

export const hashNames = ['sha256', 'sha384', 'sha512'] as const;
export type HashName = (typeof hashNames)[number];

/** Bytes of a digest. */
export const digestBytes: Readonly<Record<HashName, number>> = { sha256: 32, sha384: 48, sha512: 64 };

/** DER of DigestInfo up to the digest (RFC 8017 §9.2, note 1). */
const digestInfoPrefix: Readonly<Record<HashName, string>> = {
  sha256: '3031300d060960864801650304020105000420',
  sha384: '3041300d060960864801650304020205000430',
  sha512: '3051300d060960864801650304020305000440',
};

const checkDigest = (hash: HashName, digest: Uint8Array): void => {
  if (digest.length !== digestBytes[hash])
    throw new EncodingError(`a ${hash} digest has ${digestBytes[hash]} bytes, not ${digest.length}`);
};

/**
 * EMSA-PKCS1-v1_5 (RFC 8017 §9.2) as an integer.
 * @throws EncodingError for a digest of another length than the hash's, or a modulus too short for it
 */
export const encodePkcs1 = (hash: HashName, digest: Uint8Array, modulusBits: number): bigint => {
  checkDigest(hash, digest);
  const info = Buffer.concat([Buffer.from(digestInfoPrefix[hash], 'hex'), digest]);
  const length = Math.ceil(modulusBits / 8);
  const padding = length - info.length - 3;
  if (padding < 8)
    throw new EncodingError(`a modulus of ${modulusBits} bits is too short for PKCS#1 with ${hash}`);
  return bytesToInteger(
    Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(padding, 0xff), Buffer.from([0]), info]),
  );
};

/** MGF1 (RFC 8017 §B.2.1). */
const maskOf = (hash: HashName, seed: Uint8Array, length: number): Uint8Array => {
  const blocks: Buffer[] = [];
  for (let counter = 0; counter * digestBytes[hash] < length; counter++)
    blocks.push(
      createHash(hash)
        .update(seed)
        .update(integerToBytes(BigInt(counter), 4))
        .digest(),
    );
  return Buffer.concat(blocks).subarray(0, length);
};

const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => a.map((byte, i) => byte ^ b[i]!);

const join = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** What PSS calls M′, hashed: eight zero bytes, digest, salt. */
const saltedHash = (hash: HashName, digest: Uint8Array, salt: Uint8Array): Uint8Array =>
  createHash(hash).update(new Uint8Array(8)).update(digest).update(salt).digest();

const pssTrailer = 0xbc;

/**
 * EMSA-PSS (RFC 8017 §9.1.1) as an integer, MGF1 with the same hash.
 * @throws EncodingError for a digest of another length than the hash's, or a modulus too short for digest and salt
 */
export const encodePss = (
  hash: HashName,
  digest: Uint8Array,
  salt: Uint8Array,
  modulusBits: number,
): bigint => {
  checkDigest(hash, digest);
  const blockBits = modulusBits - 1;
  const paddingLength = Math.ceil(blockBits / 8) - digest.length - salt.length - 2;
  if (paddingLength < 0)
    throw new EncodingError(
      `a modulus of ${modulusBits} bits is too short for PSS with ${hash} and this salt`,
    );
  const h = saltedHash(hash, digest, salt);
  const db = join(new Uint8Array(paddingLength), new Uint8Array([1]), salt);
  const maskedDb = xor(db, maskOf(hash, h, db.length));
  const block = bytesToInteger(join(maskedDb, h, new Uint8Array([pssTrailer])));
  return block & ((1n << BigInt(blockBits)) - 1n);
};

/** Whether an integer is an EMSA-PSS block of this digest, with a salt of any length (RFC 8017 §9.1.2). */
export const isPssBlock = (
  hash: HashName,
  digest: Uint8Array,
  block: bigint,
  modulusBits: number,
): boolean => {
  const blockBits = modulusBits - 1;
  const length = Math.ceil(blockBits / 8);
  const dbLength = length - digestBytes[hash] - 1;
  if (dbLength < 1 || bitLength(block) > blockBits) return false;
  const bytes = integerToBytes(block, length);
  const db = xor(bytes.subarray(0, dbLength), maskOf(hash, bytes.subarray(dbLength, length - 1), dbLength));
  // The highest bits were cleared after masking.
  db[0]! &= 0xff >> (8 * length - blockBits);
  const separator = db.findIndex((byte) => byte !== 0);
  if (separator === -1) return false;
  return encodePss(hash, digest, db.subarray(separator + 1), modulusBits) === block;
};

/** 1 when two bytes are equal, else 0, without a branch. */
const equalBytes = (a: number, b: number): number => ((a ^ b) - 1) >>> 31;

/**
 * The message in an EME-OAEP block (RFC 8017 §7.1.2), MGF1 with the same hash. Only the client that asked calls this.
 * One error for every defect, found only after the whole block was read without a branch on it, so that neither words
 * nor time tell where it is wrong (Manger 2001). @throws EncodingError
 */
export const decodeOaep = (
  hash: HashName,
  label: Uint8Array,
  block: bigint,
  modulusBits: number,
): Uint8Array => {
  const failure = new EncodingError('the decrypted block is not an OAEP block for this hash and label');
  const hashLength = digestBytes[hash];
  const length = Math.ceil(modulusBits / 8);
  if (length < 2 * hashLength + 2 || bitLength(block) > 8 * length) throw failure;
  const bytes = integerToBytes(block, length);
  const maskedDb = bytes.subarray(1 + hashLength);
  const seed = xor(bytes.subarray(1, 1 + hashLength), maskOf(hash, maskedDb, hashLength));
  const db = xor(maskedDb, maskOf(hash, seed, maskedDb.length));
  const labelHash = createHash(hash).update(label).digest();

  let defects = bytes[0]!;
  for (let i = 0; i < hashLength; i++) defects |= db[i]! ^ labelHash[i]!;
  // After the label's hash: zeros, then one 1, the separator.
  let searching = 1;
  let separator = 0;
  for (let i = hashLength; i < db.length; i++) {
    const isSeparator = searching & equalBytes(db[i]!, 1);
    separator |= -isSeparator & i;
    searching &= ~isSeparator;
    defects |= searching & (1 - equalBytes(db[i]!, 0));
  }
  if ((defects | searching) !== 0) throw failure;
  return db.slice(separator + 1);
};

/**
 * The block whose signature under the new shares retires the old ones (protocol §4.4): a hash of |N| + 128
 * bits of the value's hash and the key id, reduced mod N. A full-size hash in its own domain is no padded
 * block a client can ask for.
 */
export const trialBlock = (valueHash: Uint8Array, keyId: Uint8Array, modulus: bigint): bigint => {
  const length = Math.ceil((bitLength(modulus) + 128) / 8);
  for (let counter = 0; ; counter++) {
    const count = integerToBytes(BigInt(counter), 4);
    const block =
      bytesToInteger(expandedHashOf('holdfast/trial-block/1', length, valueHash, keyId, count)) % modulus;
    if (isUnit(block, modulus)) return block;
  }
};
