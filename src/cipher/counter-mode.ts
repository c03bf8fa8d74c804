import assert from 'node:assert/strict';

/**
 * One key never makes more blocks than this (protocol §3). The number is far below the birthday bound of
 * every cipher.
 */
export const blocksPerKeyMax = 2 ** 20;

/** A block cipher under one key: whole blocks in, the same number of encrypted blocks out. */
export type EncryptBlocks = (blocks: Uint8Array) => Uint8Array;

/**
 * `count` consecutive counter blocks, from the counter `first` on. A block is the counter as one big-endian
 * number of `blockBytes` bytes. The counter wraps (NIST SP 800-38A, §6.5, and appendix B.1 with m = b).
 */
export function counterBlocks(blockBytes: number, count: number, first = 0n): Uint8Array {
  const blocks = new Uint8Array(blockBytes * count);
  for (let byte = 0, rest = first; byte < blockBytes; byte++, rest >>= 8n) {
    blocks[blockBytes - 1 - byte] = Number(rest & 0xffn);
  }
  for (let start = blockBytes; start < blocks.length; start += blockBytes) {
    blocks.copyWithin(start, start - blockBytes, start);
    let byte = start + blockBytes - 1;
    blocks[byte] = (blocks[byte]! + 1) & 0xff;
    while (blocks[byte] === 0 && byte > start) {
      byte -= 1;
      blocks[byte] = (blocks[byte]! + 1) & 0xff;
    }
  }
  return blocks;
}

/** The first `length` bytes of the keystream in counter mode. The counter begins at 0. */
export function counterKeystream(
  encryptBlocks: EncryptBlocks,
  blockBytes: number,
  length: number,
): Uint8Array {
  return encryptBlocks(counterBlocks(blockBytes, Math.ceil(length / blockBytes))).subarray(0, length);
}

/** `a XOR b`. Both must have the same length. */
export function xorBytes(a: Uint8Array, b: Uint8Array): Uint8Array {
  assert.equal(a.length, b.length, 'only byte strings of one length can be combined');
  return a.map((byte, index) => byte ^ b[index]!);
}
