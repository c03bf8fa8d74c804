export { seededRandom } from '../../src/lab/seeded-random.ts';

export function seededBytes(random: () => number, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => Math.floor(random() * 256));
}
