/** Threshold RSA as a kind of key: what crosses its border as bytes, and the arithmetic behind it. */

import { ArithmeticError, KeyError } from '../../crypto/errors.ts';
import {
  bitLength,
  bytesToInteger,
  decodeSigned,
  encodeSigned,
  integerToBytes,
} from '../../crypto/integers.ts';
import type { Kind } from '../kind/kind.ts';
import type {
  DealtKey,
  KeySetting,
  SecretKey,
  SharedKey,
  SubShareCheck,
  TrialStatement,
} from '../kind/shared-key.ts';
import {
  checkCreationShare,
  createKeyFromPrimes,
  creationShare,
  type KeyCreation,
  type Primes,
} from './creation.ts';
import * as dealing from './dealing.ts';
import { trialBlock } from './encoding.ts';
import { blindingBytes, modPow } from './engine.ts';
import { areUnits } from './group.ts';
import { elementBytes, elementOf, encodePublic, isShortest, packNumber, unpackNumber } from './numbers.ts';
import { proofContext, proofOf, rsaDecrypt, rsaSign } from './operations.ts';
import { publicKeyJwk, publicKeyPem, publicKeySsh } from './public-forms.ts';
import { parametersOf, publicOf } from './setting.ts';
import {
  checkKeyPublic,
  coefficientBytes,
  coefficientCount,
  interpolate,
  type KeyPublic,
  modulusBitsRange,
  type SharingParameters,
  verificationKey,
} from './sharing.ts';
import { combineRobust, encodeProof, nonceBytes, type Proof, partial, prove } from './signing.ts';

/** A trial: the length of the partial in two bytes, the partial, its proof. */
const encodeTrial = (made: bigint, proof: Proof): Uint8Array => {
  const bytes = elementBytes(made);
  return new Uint8Array(Buffer.concat([integerToBytes(BigInt(bytes.length), 2), bytes, encodeProof(proof)]));
};

/** A partial that is none stands as 0, which is no unit and never combines. */
function decodeTrial(bytes: Uint8Array): { partial: bigint; proof: Proof | null } {
  const end = 2 + Number(bytesToInteger(bytes.subarray(0, 2)));
  const element = bytes.subarray(2, end);
  if (bytes.length <= end || !isShortest(element)) return { partial: 0n, proof: null };
  return { partial: bytesToInteger(element), proof: proofOf(bytes.subarray(end)) };
}

/** A key of which this machine knows the primes. */
export function rsaSecret(primes: Primes, exponent: bigint): SecretKey {
  const modulus = primes.p * primes.q;
  return {
    kind: 'rsa',
    identity: elementBytes(modulus),
    share({ threshold, membersMax, randomBytes }) {
      const parameters = { threshold, membersMax, modulusBits: bitLength(modulus) };
      return dealtKeyOf(createKeyFromPrimes({ ...primes, e: exponent, parameters, randomBytes }));
    },
  };
}

/** One sharing of such a key. */
export const dealtKeyOf = (creation: KeyCreation): DealtKey => ({
  kind: 'rsa',
  public: encodePublic(creation.public),
  commitments: creation.commitments.map(elementBytes),
  firstShare: (receiver) => encodeSigned(creationShare(creation, receiver)),
});

class SharedRsaKey implements SharedKey {
  readonly #key: KeyPublic;
  readonly #parameters: SharingParameters;

  constructor(setting: KeySetting) {
    this.#key = publicOf(setting.public);
    this.#parameters = parametersOf(setting);
  }

  get #common(): { key: KeyPublic; parameters: SharingParameters } {
    return { key: this.#key, parameters: this.#parameters };
  }

  get coefficientBytes(): number {
    return coefficientCount(this.#parameters) * coefficientBytes(this.#parameters);
  }

  coefficientsFrom(bytes: Uint8Array): Uint8Array[] {
    return dealing.coefficientsFromBytes(bytes, this.#parameters).map(encodeSigned);
  }

  commit(coefficients: readonly Uint8Array[]): Uint8Array[] {
    return dealing.deal({ ...this.#common, coefficients: coefficients.map(decodeSigned) }).map(elementBytes);
  }

  subShare(coefficients: readonly Uint8Array[], receiver: number): Uint8Array {
    return encodeSigned(dealing.subShare(coefficients.map(decodeSigned), receiver));
  }

  isDealing(commitments: readonly Uint8Array[]): boolean {
    return (
      commitments.length === coefficientCount(this.#parameters) &&
      commitments.every(isShortest) &&
      areUnits(commitments.map(elementOf), this.#key.modulus)
    );
  }

  checkSubShares(
    checks: readonly SubShareCheck[],
    receiver: number,
    randomBytes: (length: number) => Uint8Array,
  ): boolean[] {
    const read = checks.map((check) => this.#read(check, receiver));
    const whole = read.filter((check) => check !== null);
    const weights = whole.map(() => bytesToInteger(randomBytes(16)));
    const together = dealing.checkSubSharesTogether(whole, weights);
    return read.map((check) => check !== null && (together || dealing.checkSubShare(check)));
  }

  checkFirstShare(check: SubShareCheck, receiver: number): boolean {
    const read = this.#read(check, receiver);
    if (read === null) return false;
    const { subShare: share, ...rest } = read;
    return checkCreationShare({ ...rest, share });
  }

  #read({ commitments, subShare }: SubShareCheck, receiver: number): dealing.SubShareCheck | null {
    if (!commitments.every(isShortest)) return null;
    return {
      ...this.#common,
      commitments: commitments.map(elementOf),
      receiver,
      subShare: decodeSigned(subShare),
    };
  }

  applyDealings(applied: {
    share: Uint8Array;
    index: number;
    root: number;
    subShares: readonly Uint8Array[];
  }): Uint8Array {
    const { share, index, root, subShares } = applied;
    return encodeSigned(
      dealing.applyDealings({
        share: decodeSigned(share),
        index,
        root,
        subShares: subShares.map(decodeSigned),
      }),
    );
  }

  checkShare(commitments: readonly Uint8Array[], index: number, share: Uint8Array): boolean {
    return dealing.checkShare({
      ...this.#common,
      commitments: commitments.map(elementOf),
      index,
      share: decodeSigned(share),
    });
  }

  verificationKey(commitments: readonly Uint8Array[], index: number): Uint8Array {
    return elementBytes(verificationKey(this.#key, commitments.map(elementOf), index));
  }

  checkMaskedShare(check: {
    commitments: readonly Uint8Array[];
    masks: ReadonlyArray<readonly Uint8Array[]>;
    index: number;
    root: number;
    sum: Uint8Array;
  }): boolean {
    const { commitments, masks, index, root, sum } = check;
    return dealing.checkMaskedShare({
      ...this.#common,
      commitments: commitments.map(elementOf),
      masks: masks.map((list) => list.map(elementOf)),
      index,
      root,
      sum: decodeSigned(sum),
    });
  }

  interpolate(values: ReadonlyMap<number, Uint8Array>, at: number): Uint8Array | null {
    try {
      const numbers = new Map([...values].map(([index, value]) => [index, decodeSigned(value)]));
      return encodeSigned(interpolate(numbers, at, this.#parameters.membersMax));
    } catch (error) {
      if (error instanceof ArithmeticError) return null;
      throw error;
    }
  }

  pack(number: Uint8Array): Uint8Array {
    return packNumber(number, this.#parameters);
  }

  unpack(packed: Uint8Array): Uint8Array {
    return unpackNumber(packed, this.#parameters);
  }

  /** This member's partial of the trial block under its new share, with its proof. */
  trial(made: {
    statement: TrialStatement;
    index: number;
    share: Uint8Array;
    randomBytes: (length: number) => Uint8Array;
  }): Uint8Array {
    const { statement, index, randomBytes } = made;
    const share = decodeSigned(made.share);
    const block = this.#blockOf(statement);
    const partialOf = partial({ ...this.#common, share, block, blinding: randomBytes(blindingBytes) });
    const proof = prove({
      ...this.#common,
      share,
      index,
      block,
      partial: partialOf,
      context: proofContext(statement.key, statement.epoch),
      nonceBytes: randomBytes(nonceBytes(this.#parameters)),
      blinding: randomBytes(blindingBytes),
    });
    return encodeTrial(partialOf, proof);
  }

  /** The proof is the signature of the trial block. */
  combineTrials(combined: {
    statement: TrialStatement;
    commitments: readonly Uint8Array[];
    trials: ReadonlyMap<number, Uint8Array>;
  }): { proof: Uint8Array | null; culprits: number[]; suspects: number[] } {
    const { statement, commitments, trials } = combined;
    const { signature, culprits, suspects } = combineRobust({
      ...this.#common,
      commitments: commitments.map(elementOf),
      block: this.#blockOf(statement),
      partials: new Map([...trials].map(([index, trial]) => [index, decodeTrial(trial)])),
      context: proofContext(statement.key, statement.epoch),
    });
    return { proof: signature === null ? null : elementBytes(signature), culprits, suspects };
  }

  checkTrialProof({ statement, proof }: { statement: TrialStatement; proof: Uint8Array }): boolean {
    const { modulus, exponent } = this.#key;
    return isShortest(proof) && modPow(elementOf(proof), exponent, modulus) === this.#blockOf(statement);
  }

  #blockOf({ value, key }: TrialStatement): bigint {
    return trialBlock(value, key, this.#key.modulus);
  }
}

const isPossible = ({ modulus, exponent }: KeyPublic): boolean =>
  (modulus & 1n) === 1n &&
  bitLength(modulus) >= modulusBitsRange.min &&
  bitLength(modulus) <= modulusBitsRange.max &&
  exponent < modulus;

export const rsa: Kind = {
  name: 'rsa',
  operations: { sign: rsaSign, decrypt: rsaDecrypt },

  /** Of 2048 bits, 64 lists of 31 commitments are multiplied in 28 ms, and a trial's proof is checked in 0.2 ms. */
  isQuick: true,

  /** The primes must be found in one place. */
  joint: null,

  checkPublic(publicBytes, membersMax) {
    checkKeyPublic(publicOf(publicBytes), membersMax);
  },

  publicForms(publicBytes) {
    const key = publicOf(publicBytes);
    if (!isPossible(key)) throw new KeyError('these are the public values of no RSA key');
    return {
      bits: bitLength(key.modulus),
      pem: publicKeyPem(key),
      jwk: { ...publicKeyJwk(key) },
      ssh: publicKeySsh(key),
    };
  },

  /** Of one modulus a decryption can be a signature. */
  identityOf: (publicBytes) => elementBytes(publicOf(publicBytes).modulus),

  areWellFormed(publicBytes, elements) {
    const bytesMax = elementBytes(publicOf(publicBytes).modulus).length;
    return elements.every((element) => element.length <= bytesMax && isShortest(element));
  },

  combineCommitments: (publicBytes, lists) =>
    dealing
      .combineCommitments(
        lists.map((list) => list.map(elementOf)),
        publicOf(publicBytes),
      )
      .map(elementBytes),

  shared: (setting) => new SharedRsaKey(setting),
};
