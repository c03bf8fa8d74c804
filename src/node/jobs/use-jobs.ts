/** The arithmetic of using a key (protocol §2 "Use"), as pure functions for the worker pool. */

import { bitLength, bytesToInteger, decodeSigned, integerToBytes } from '../../crypto/integers.ts';
import { encodePkcs1, encodePss } from '../../keys/rsa/encoding.ts';
import { blindingBytes } from '../../keys/rsa/engine.ts';
import { parametersOf, proofContext, proofOf, publicOf } from '../../keys/rsa/kind.ts';
import { elementBytes, elementOf } from '../../keys/rsa/numbers.ts';
import { refutedPartials } from '../../keys/rsa/refuted-partials.ts';
import {
  combineRobust,
  encodeProof,
  nonceBytes,
  type Proof,
  partial,
  prove,
} from '../../keys/rsa/signing.ts';
import type { KeySetting } from '../../protocol/machine/io.ts';
import type { SignBody, UseRequestBody } from '../../protocol/records/use-request.ts';
import { sealPartial } from '../../sealing/partials.ts';
import type { JobContext } from './change-jobs.ts';

export type UseJob =
  | {
      kind: 'use-partial';
      setting: KeySetting;
      share: Uint8Array;
      index: number;
      epoch: number;
      body: UseRequestBody;
      prove: boolean;
    }
  | {
      kind: 'use-combine';
      setting: KeySetting;
      commitments: Uint8Array[];
      epoch: number;
      body: SignBody;
      partials: GivenPartial[];
      /** Those of a combination that failed before. */
      failed: GivenPartial[];
    };

interface GivenPartial {
  by: number;
  partial: Uint8Array;
  proof: Uint8Array | null;
}

export type UseJobResult =
  | { kind: 'use-partial'; partial: Uint8Array; proof: Uint8Array | null }
  /** The partial of a decryption, for the client's eyes only. */
  | { kind: 'use-sealed-partial'; envelope: Uint8Array }
  /**
   * `signature` is null while too few true partials are there; culprits are named only by proofs, suspects
   * (whose proofs pass) and the refuted ones of the failed combination only by a signature.
   */
  | {
      kind: 'use-combine';
      signature: Uint8Array | null;
      culprits: number[];
      suspects: number[];
      refuted: number[];
    };

const arithmeticOf = ({ key, threshold, membersMax }: KeySetting) => ({
  public: key.public,
  threshold,
  membersMax,
});

/** Peers build the block of a signature themselves, from the digest (§2); a ciphertext is one. */
function blockOf(setting: KeySetting, body: UseRequestBody): bigint {
  if (body.operation === 'decrypt') return bytesToInteger(body.ciphertext);
  const { scheme, hash, digest, salt } = body;
  const bits = bitLength(publicOf(setting.key.public).modulus);
  return scheme === 'pkcs1' ? encodePkcs1(hash, digest, bits) : encodePss(hash, digest, salt, bits);
}

export function runUseJob(job: UseJob, context: JobContext): UseJobResult {
  return job.kind === 'use-partial' ? runPartial(job, context) : runCombine(job);
}

function runPartial(
  {
    setting,
    share: shareBytes,
    index,
    epoch,
    body,
    prove: proving,
  }: Extract<UseJob, { kind: 'use-partial' }>,
  { cipher, randomBytes }: JobContext,
): UseJobResult {
  const key = publicOf(setting.key.public);
  const parameters = parametersOf(arithmeticOf(setting));
  const share = decodeSigned(shareBytes);
  const block = blockOf(setting, body);
  const made = partial({ key, parameters, share, block, blinding: randomBytes(blindingBytes) });
  const proof = proving
    ? encodeProof(
        prove({
          key,
          parameters,
          share,
          index,
          block,
          partial: made,
          context: proofContext(setting.key.id, epoch),
          nonceBytes: randomBytes(nonceBytes(parameters)),
          blinding: randomBytes(blindingBytes),
        }),
      )
    : null;
  if (body.operation === 'sign') return { kind: 'use-partial', partial: elementBytes(made), proof };
  const tie = { body, epoch, index };
  const envelope = sealPartial({ tie, cipher, entropy: randomBytes(32), partial: made, proof });
  return { kind: 'use-sealed-partial', envelope };
}

function runCombine(job: Extract<UseJob, { kind: 'use-combine' }>): UseJobResult {
  const parameters = parametersOf(arithmeticOf(job.setting));
  const asked = {
    key: publicOf(job.setting.key.public),
    parameters,
    block: blockOf(job.setting, job.body),
    partials: numbersIn(job.partials),
    commitments: job.commitments.map(elementOf),
    context: proofContext(job.setting.key.id, job.epoch),
  };
  const result = combineRobust(asked);
  return {
    kind: 'use-combine',
    signature:
      result.signature === null
        ? null
        : integerToBytes(result.signature, Math.ceil(parameters.modulusBits / 8)),
    culprits: result.culprits,
    suspects: result.suspects,
    refuted: refutedPartials({ ...asked, result, failed: numbersIn(job.failed) }),
  };
}

const numbersIn = (given: readonly GivenPartial[]): Map<number, { partial: bigint; proof: Proof | null }> =>
  new Map(
    given.map(({ by, partial: bytes, proof }) => [
      by,
      { partial: bytesToInteger(bytes), proof: proof === null ? null : proofOf(proof) },
    ]),
  );
