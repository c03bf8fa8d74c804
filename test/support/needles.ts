/** Every way in which a secret could stand in a text: for tests that search what a program lets out. */
import { inspect } from 'node:util';

export interface Needle {
  /** What it is, without showing it. */
  name: string;
  text: string;
}

const sliceBytes = 16;

/** A byte string: whole or a part of it, as hex, base64, base64url, CBOR or raw bytes, or as a list or number. */
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
    // Base64 looks different at each of three places within what it encodes; the ends depend on the neighbours.
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

/** A number: in decimal, hex, or as bytes. */
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

/** Names of the needles that `text` (bytes as latin1) holds. */
export const foundIn = (text: string, needles: readonly Needle[]): string[] =>
  needles.filter((needle) => text.includes(needle.text)).map(({ name }) => name);
