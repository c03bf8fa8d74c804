/** Hashes with a domain: what was hashed for one purpose never means anything for another. */
import { createHash } from 'node:crypto';

/** 32 bytes: SHA-256 of the concatenated parts. Only for what another standard prescribes; else use `hashOf`. */
export const sha256 = (...parts: readonly Uint8Array[]): Uint8Array => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return new Uint8Array(hash.digest());
};

/** SHA-256 in lower-case hex, for names and logs. */
export const hashHex = (...parts: readonly Uint8Array[]): string =>
  Buffer.from(sha256(...parts)).toString('hex');

/** Domain and parts, each after its length in four bytes: different lists never give the same bytes. */
const framed = (domain: string, parts: readonly Uint8Array[]): Uint8Array[] =>
  [new TextEncoder().encode(domain), ...parts].flatMap((part) => {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, part.length);
    return [length, part];
  });

/** 32 bytes: SHA-256 over the domain and the parts, each with its length before it. */
export const hashOf = (domain: string, ...parts: readonly Uint8Array[]): Uint8Array =>
  sha256(...framed(domain, parts));

/** Any number of bytes: SHAKE256 (FIPS 202) over the same input as `hashOf`. */
export const expandedHashOf = (
  domain: string,
  outputLength: number,
  ...parts: readonly Uint8Array[]
): Uint8Array => {
  const hash = createHash('shake256', { outputLength });
  for (const piece of framed(domain, parts)) hash.update(piece);
  return new Uint8Array(hash.digest());
};
