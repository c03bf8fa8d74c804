/** Deterministic bytes, fast: the keystream of AES-128-CTR under the hash of a seed. For simulations only. */
import { createCipheriv, createHash } from 'node:crypto';

const chunk = Buffer.alloc(4_096);

export function quickBytes(seed: string): (length: number) => Uint8Array {
  const key = createHash('sha256').update(seed).digest();
  const cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16));
  let stream = Buffer.alloc(0);
  return (length) => {
    while (stream.length < length) stream = Buffer.concat([stream, cipher.update(chunk)]);
    const bytes = Uint8Array.from(stream.subarray(0, length));
    stream = stream.subarray(length);
    return bytes;
  };
}
