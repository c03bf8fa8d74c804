/** The verification keys of an epoch. */
import { hashHex } from '../../crypto/hash.ts';
import { sharedKeyOf } from '../../protocol/machine/shared-keys.ts';
import type { Link } from '../../protocol/records/link.ts';

/** Of one member and key: SHA-256, hex, of the verification key in the encoding of its kind. */
export interface VerificationKeyHash {
  key: string;
  member: string;
  hash: string;
}

/** Arithmetic for every member and key: half a second for the largest group, and the same for ever. */
export const verificationKeysIn = ({ value, commitments }: Link, membersMax: number): VerificationKeyHash[] =>
  value.keys.flatMap((key, at) => {
    const shared = sharedKeyOf({ key, threshold: value.threshold, membersMax });
    return value.roster.map((member) => ({
      key: key.name,
      member: member.name,
      hash: hashHex(shared.verificationKey(commitments[at] ?? [], member.index)),
    }));
  });
