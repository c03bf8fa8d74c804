/** Every form in which a secret could stand in a text. Tests search the output of programs for them. */
import { inspect } from 'node:util';

/** One form of one secret. */
export interface Needle {
  /** The name of the secret and of the form. It shows nothing of the secret. */
  name: string;
  text: string;
}

const sliceBytes = 16;

/**
 * The forms of a byte string: whole as a number, and pieces of it as hex, base64, base64url, raw bytes or a
 * list of numbers.
 */
export function needlesOfBytes(name: string, secret: Uint8Array): Needle[] {
  const bytes = Buffer.from(secret);
  const forms: [string, string][] = [
    ['decimal', BigInt(`0x0${bytes.toString('hex')}`).toString()],
    ['decimal, little-endian', BigInt(`0x0${Buffer.from(bytes).reverse().toString('hex')}`).toString()],
  ];
  const middle = Math.max(0, (bytes.length >> 1) - sliceBytes / 2);
  for (const [where, from] of [
    ['beginning', 0],
    ['middle', middle],
  ] as const) {
    const slice = bytes.subarray(from, from + sliceBytes);
    const hex = slice.toString('hex');
    forms.push(
      [`hex, ${where}`, hex],
      [`upper-case hex, ${where}`, hex.toUpperCase()],
      [`inspected, ${where}`, hex.replaceAll(/(..)(?!$)/g, '$1 ')],
      [`raw bytes, ${where}`, slice.toString('latin1')],
      [`list of numbers, ${where}`, [...slice].join(',')],
      [
        `list of numbers with blanks, ${where}`,
        inspect([...slice], { breakLength: Number.POSITIVE_INFINITY }).slice(2, -2),
      ],
    );
    // Base64 text depends on the place of the bytes, modulo three. Its ends depend on the bytes around.
    for (const offset of [0, 1, 2]) {
      const padded = Buffer.concat([Buffer.alloc(offset), slice]).toString('base64');
      const inner = padded.slice(offset === 0 ? 0 : 4, padded.length - 4);
      forms.push(
        [`base64, ${where}`, inner],
        [`base64url, ${where}`, inner.replaceAll('+', '-').replaceAll('/', '_')],
      );
    }
  }
  return forms.map(([form, text]) => ({ name: `${name} as ${form}`, text }));
}

/** The forms of a number: decimal, hex, and those of its bytes. */
export function needlesOfNumber(name: string, secret: bigint): Needle[] {
  const size = secret < 0n ? -secret : secret;
  const hex = size.toString(16);
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  return [
    { name: `${name} as decimal`, text: size.toString() },
    { name: `${name} as hex`, text: hex.slice(0, 64) },
    ...needlesOfBytes(name, bytes),
  ];
}

/** The names of the needles that stand in `text`. Bytes are given as latin1. */
export const foundIn = (text: string, needles: readonly Needle[]): string[] =>
  needles.filter((needle) => text.includes(needle.text)).map(({ name }) => name);
