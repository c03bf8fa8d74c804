/** The arithmetic of using a key (protocol §2 "Use"), as pure functions for the worker pool. */
import { encodePkcs1, encodePss } from '../crypto/encoding.ts';
import { bitLength, decodeSigned, integerToBytes } from '../crypto/integers.ts';
import { combineRobust, encodeProof, nonceBytes, partial, prove } from '../crypto/signing.ts';
import { numberBytes, numberOf } from '../protocol/codec.ts';
import type { KeySetting } from '../protocol/io.ts';
import type { UseRequestBody } from '../protocol/use-request.ts';
import { publicOf } from '../protocol/value.ts';
import { type JobContext, proofContext, proofFromBytes } from './jobs.ts';
import { parametersOf } from './sealing.ts';

/** The request's part that decides the block: peers build it themselves from the digest (§2). */
type Block = Pick<UseRequestBody, 'scheme' | 'hash' | 'digest' | 'salt'>;

export type UseJob =
  | {
      kind: 'use-partial';
      setting: KeySetting;
      share: Uint8Array;
      index: number;
      epoch: number;
      block: Block;
      prove: boolean;
    }
  | {
      kind: 'use-combine';
      setting: KeySetting;
      commitments: Uint8Array[];
      epoch: number;
      block: Block;
      partials: Array<{ by: number; partial: Uint8Array; proof: Uint8Array | null }>;
    };

export type UseJobResult =
  | { kind: 'use-partial'; partial: Uint8Array; proof: Uint8Array | null }
  /** `signature` is null while too few true partials are there; culprits are named only by proofs. */
  | { kind: 'use-combine'; signature: Uint8Array | null; culprits: number[] };

function blockOf(setting: KeySetting, { scheme, hash, digest, salt }: Block): bigint {
  const bits = bitLength(numberOf(setting.key.modulus));
  return scheme === 'pkcs1' ? encodePkcs1(hash, digest, bits) : encodePss(hash, digest, salt, bits);
}

export function runUseJob(job: UseJob, { randomBytes }: Pick<JobContext, 'randomBytes'>): UseJobResult {
  const key = publicOf(job.setting.key);
  const parameters = parametersOf(job.setting);
  const block = blockOf(job.setting, job.block);
  const context = proofContext(job.setting.key.id, job.epoch);
  if (job.kind === 'use-partial') {
    const share = decodeSigned(job.share);
    const made = partial({ key, parameters, share, block });
    const proof = job.prove
      ? prove({
          key,
          parameters,
          share,
          index: job.index,
          block,
          partial: made,
          context,
          nonceBytes: randomBytes(nonceBytes(parameters)),
        })
      : null;
    return {
      kind: 'use-partial',
      partial: numberBytes(made),
      proof: proof === null ? null : encodeProof(proof),
    };
  }
  const result = combineRobust({
    key,
    parameters,
    commitments: job.commitments.map(numberOf),
    block,
    partials: new Map(
      job.partials.map(({ by, partial: bytes, proof }) => [
        by,
        { partial: numberOf(bytes), proof: proof === null ? null : proofFromBytes(proof) },
      ]),
    ),
    context,
  });
  return {
    kind: 'use-combine',
    signature:
      result.signature === null
        ? null
        : integerToBytes(result.signature, Math.ceil(parameters.modulusBits / 8)),
    culprits: result.culprits,
  };
}
