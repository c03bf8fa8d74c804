/**
 * Hashes with a domain (FIPS 180-4, FIPS 202). A hash made for one purpose is never valid for another
 * purpose.
 */
import { createHash, hash } from 'node:crypto';

/**
 * SHA-256 of the concatenated parts, 32 bytes. It has no domain, so it serves only where another standard
 * prescribes SHA-256. Everything else uses `hashOf`.
 */
export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(
    hash('sha256', parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts), 'buffer'),
  );

/** SHA-256 of the concatenated parts, as 64 lower-case hex digits. It serves for names and logs. */
export const hashHex = (...parts: readonly Uint8Array[]): string =>
  Buffer.from(sha256(...parts)).toString('hex');

/**
 * The domain and the parts, each after its length in four bytes. Different lists never give the same bytes.
 */
const framed = (domain: string, parts: readonly Uint8Array[]): Buffer => {
  const pieces = [Buffer.from(domain), ...parts];
  const bytes = Buffer.allocUnsafe(pieces.reduce((sum, { length }) => sum + 4 + length, 0));
  let at = 0;
  for (const piece of pieces) {
    at = bytes.writeUInt32BE(piece.length, at);
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
};

/** SHA-256 of the domain and the parts, each with its length before it: 32 bytes. */
export const hashOf = (domain: string, ...parts: readonly Uint8Array[]): Uint8Array =>
  sha256(framed(domain, parts));

/** SHAKE256 (FIPS 202) of the same input as `hashOf`: `outputLength` bytes. */
export const expandedHashOf = (
  domain: string,
  outputLength: number,
  ...parts: readonly Uint8Array[]
): Uint8Array =>
  new Uint8Array(createHash('shake256', { outputLength }).update(framed(domain, parts)).digest());
