/** The oracle's own arithmetic on shares, for each kind of key. Only the oracle knows the secrets. */
import { bytesToInteger, decodeSigned } from '../../crypto/integers.ts';
import { checkSubShare } from '../../keys/rsa/dealing.ts';
import { trialBlock } from '../../keys/rsa/encoding.ts';
import { modPow } from '../../keys/rsa/engine.ts';
import { elementOf } from '../../keys/rsa/numbers.ts';
import { parametersOf, publicOf } from '../../keys/rsa/setting.ts';
import { interpolate } from '../../keys/rsa/sharing.ts';
import type { KeyRecord } from '../../protocol/records/value.ts';
import { toy, toyArithmetic } from '../world/toy-kind.ts';

/** The arithmetic of one kind of key. */
export interface KeyOracle {
  numberOf(share: Uint8Array): bigint;
  /** `f(0)` of these shares, by index. Null when they lie on no polynomial. */
  at0(shares: ReadonlyMap<number, bigint>): bigint | null;
  isSecret(key: KeyRecord, at0: bigint | null): boolean;
  isSubShare(checked: {
    key: KeyRecord;
    commitments: readonly Uint8Array[];
    receiver: number;
    subShare: Uint8Array;
  }): boolean;
  /**
   * Whether a retire proof shows that the shares of the value with this hash sign. Null when only the kind
   * itself can tell.
   */
  isTrialProof(key: KeyRecord, valueHash: Uint8Array, proof: Uint8Array): boolean | null;
}

/**
 * The arithmetic for each key.
 * @param secretOf gives `f(0)` of an RSA key by its modulus; no peer ever knows it
 */
export function keyOracles(
  membersMax: number,
  secretOf: (modulus: bigint) => bigint | undefined,
): (key: KeyRecord) => KeyOracle {
  const rsa: KeyOracle = {
    numberOf: decodeSigned,
    at0(shares) {
      try {
        return interpolate(shares, 0, membersMax);
      } catch {
        return null; // the value at 0 is not even an integer
      }
    },
    isSecret: (key, at0) => at0 === secretOf(publicOf(key.public).modulus),
    isSubShare: ({ key, commitments, receiver, subShare }) =>
      checkSubShare({
        key: publicOf(key.public),
        parameters: parametersOf({ public: key.public, threshold: commitments.length + 1, membersMax }),
        commitments: commitments.map(elementOf),
        receiver,
        subShare: decodeSigned(subShare),
      }),
    isTrialProof(key, valueHash, proof) {
      const { modulus, exponent } = publicOf(key.public);
      return modPow(bytesToInteger(proof), exponent, modulus) === trialBlock(valueHash, key.id, modulus);
    },
  };
  const ofToy: KeyOracle = {
    numberOf: bytesToInteger,
    at0: toyArithmetic.at0,
    isSecret: (key, at0) => at0 !== null && toyArithmetic.isSecretOf(key.public, at0),
    isSubShare: ({ commitments, receiver, subShare }) =>
      toyArithmetic.fits(commitments, receiver, bytesToInteger(subShare)),
    isTrialProof: () => null,
  };
  return ({ kind }) => (kind === toy.name ? ofToy : rsa);
}
