/** The kinds of keys that this version knows. */
import { KeyError } from '../crypto/errors.ts';
import type { Kind } from './kind/kind.ts';
import { rsa } from './rsa/kind.ts';

const kinds = new Map<string, Kind>([rsa].map((kind) => [kind.name, kind]));

export const kindNames = (): string[] => [...kinds.keys()];

/** From here on this process knows one more: for tests, which show that no other room knows what a kind is. */
export const learnKind = (kind: Kind): void => void kinds.set(kind.name, kind);

/** @throws KeyError for a kind that this version does not know */
export function kindNamed(name: string): Kind {
  const kind = kinds.get(name);
  if (kind === undefined)
    throw new KeyError(
      `keys of kind ${name} are not known to this version of Holdfast, which knows ${kindNames().join(', ')}; a newer one may`,
    );
  return kind;
}
