/** Damages real messages by seeded chance. A hostile or broken peer may send such messages. */
import { decode, encode } from 'cborg';
import { drawnBytes, seededRandom } from '../../src/simulation/world/seeded-random.ts';

export const mutationNames = [
  'bit-flips',
  'truncation',
  'insertion',
  'splice',
  'type-swap',
  'length-lie',
  'field-of-another',
  'replay',
  'random',
] as const;
export type MutationName = (typeof mutationNames)[number];

/** Damages messages. All its random numbers follow from the seed. */
export class Mutator {
  readonly random: () => number;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  below(bound: number): number {
    return Math.floor(this.random() * bound);
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }

  bytes(length: number): Uint8Array {
    return drawnBytes(this.random, length);
  }

  /** Damages one message. `others` are more real messages of the same protocol. */
  mutate(message: Uint8Array, others: readonly Uint8Array[]): { name: MutationName; bytes: Uint8Array } {
    const name = this.pick(mutationNames);
    return { name, bytes: this.#by(name, message, others) };
  }

  #by(name: MutationName, message: Uint8Array, others: readonly Uint8Array[]): Uint8Array {
    const other = others.length === 0 ? message : this.pick(others);
    switch (name) {
      case 'bit-flips':
        return this.#flipped(message);
      case 'truncation':
        return message.slice(0, this.below(message.length));
      case 'insertion': {
        const at = this.below(message.length + 1);
        return new Uint8Array([
          ...message.subarray(0, at),
          ...this.bytes(1 + this.below(8)),
          ...message.subarray(at),
        ]);
      }
      case 'splice': {
        const head = message.subarray(0, this.below(message.length + 1));
        return new Uint8Array([...head, ...other.subarray(this.below(other.length + 1))]);
      }
      case 'type-swap':
        return this.#withField(message, () => this.#anything());
      case 'length-lie':
        return this.#lyingLength(message);
      case 'field-of-another':
        return this.#withField(message, () => this.pick(fieldsOf(tryDecode(other)))?.value ?? null);
      case 'replay':
        return other;
      case 'random':
        return this.bytes(this.below(300));
    }
  }

  #flipped(message: Uint8Array): Uint8Array {
    const flipped = new Uint8Array(message); // cborg gives a Buffer, and its slice would share its bytes
    for (let count = 1 + this.below(8); count > 0 && flipped.length > 0; count -= 1) {
      const at = this.below(flipped.length);
      flipped[at] = (flipped[at] as number) ^ (1 << this.below(8));
    }
    return flipped;
  }

  /**
   * Changes a CBOR head so that its length is not that of its content: less, more, indefinite, or more than
   * any memory has.
   */
  #lyingLength(message: Uint8Array): Uint8Array {
    const heads = [...message.keys()].filter((at) => {
      const major = (message[at] as number) >> 5;
      return major >= 2 && major <= 5;
    });
    if (heads.length === 0) return this.#flipped(message);
    const at = this.pick(heads);
    const major = (message[at] as number) & 0xe0;
    const size = this.pick([0, 1, 2, 4, 8, -1]);
    const head =
      size < 0
        ? [major | 31]
        : size === 0
          ? [major | this.below(24)]
          : [major | (24 + Math.log2(size)), ...this.bytes(size)];
    return new Uint8Array([...message.subarray(0, at), ...head, ...message.subarray(at + 1)]);
  }

  #withField(message: Uint8Array, value: () => unknown): Uint8Array {
    const tree = tryDecode(message);
    const fields = fieldsOf(tree);
    if (fields.length === 0) return this.#flipped(message);
    const { holder, name } = this.pick(fields);
    holder[name] = value();
    return encode(tree);
  }

  /** Replaces one field of the tree, whose name is not in `except`, by something of another type or size. */
  withAnything(tree: object, except: readonly string[]): void {
    const fields = fieldsOf(tree).filter(({ name }) => !except.includes(name));
    if (fields.length === 0) return;
    const { holder, name } = this.pick(fields);
    holder[name] = this.#anything();
  }

  #anything(): unknown {
    return this.pick([
      () => this.bytes(this.below(80)),
      () => this.bytes(32),
      () => this.bytes(64),
      () => this.below(70) - 3,
      () => Number.MAX_SAFE_INTEGER - this.below(3),
      () => 2 ** 31 + this.below(2),
      () => 1.5,
      () => null,
      () => true,
      () => '',
      () => '__proto__',
      () => 'x'.repeat(this.below(2_000)),
      () => [],
      () => ({}),
      () => Array.from({ length: this.below(200) }, () => this.below(9)),
      () => [[[[[[[[]]]]]]]],
    ])();
  }
}

interface Field {
  holder: Record<string, unknown>;
  name: string;
  value: unknown;
}

function tryDecode(bytes: Uint8Array): unknown {
  try {
    return decode(bytes);
  } catch {
    return null;
  }
}

function fieldsOf(tree: unknown): Field[] {
  const fields: Field[] = [];
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null || node instanceof Uint8Array) return;
    const holder = node as Record<string, unknown>;
    for (const name of Object.keys(holder)) {
      fields.push({ holder, name, value: holder[name] });
      visit(holder[name]);
    }
  };
  visit(tree);
  return fields;
}
