/** The verification keys of an epoch, which are exponentiations for every member and key. */
import { hashHex } from '../../crypto/hash.ts';
import { verificationKey } from '../../keys/rsa/sharing.ts';
import { numberOf } from '../../protocol/records/codec.ts';
import type { Link } from '../../protocol/records/link.ts';
import { publicOf } from '../../protocol/records/value.ts';

/** Of one member and key: SHA-256, hex, of the verification key's hex digits. */
export interface VerificationKeyHash {
  key: string;
  member: string;
  hash: string;
}

/** Exponentiations for every member and key: half a second for the largest group, and the same for ever. */
export const verificationKeysIn = ({ value, commitments }: Link): VerificationKeyHash[] =>
  value.keys.flatMap((key, at) => {
    const shared = publicOf(key);
    const list = (commitments[at] as Uint8Array[]).map(numberOf);
    return value.roster.map((member) => ({
      key: key.name,
      member: member.name,
      hash: hashHex(new TextEncoder().encode(verificationKey(shared, list, member.index).toString(16))),
    }));
  });
