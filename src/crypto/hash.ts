/** Hashes with a domain: what was hashed for one purpose never means anything for another. */
import { createHash, hash } from 'node:crypto';

/** 32 bytes: SHA-256 of the concatenated parts. Only for what another standard prescribes; else use `hashOf`. */
export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(
    hash('sha256', parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts), 'buffer'),
  );

/** SHA-256 in lower-case hex, for names and logs. */
export const hashHex = (...parts: readonly Uint8Array[]): string =>
  Buffer.from(sha256(...parts)).toString('hex');

/** Domain and parts, each after its length in four bytes: different lists never give the same bytes. */
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

/** 32 bytes: SHA-256 over the domain and the parts, each with its length before it. */
export const hashOf = (domain: string, ...parts: readonly Uint8Array[]): Uint8Array =>
  sha256(framed(domain, parts));

/** Any number of bytes: SHAKE256 (FIPS 202) over the same input as `hashOf`. */
export const expandedHashOf = (
  domain: string,
  outputLength: number,
  ...parts: readonly Uint8Array[]
): Uint8Array =>
  new Uint8Array(createHash('shake256', { outputLength }).update(framed(domain, parts)).digest());
