/** The arithmetic of the keys that records name. */
import { KeyError } from '../../crypto/errors.ts';
import type { JointCreation, SharedKey } from '../../keys/kind.ts';
import { kindNamed } from '../../keys/kinds.ts';
import type { KeySetting } from './io.ts';

/** Throws `KeyError` for a kind that this version does not know: no such key ever gets into a value. */
export const sharedKeyOf = ({ key, threshold, membersMax }: KeySetting): SharedKey =>
  kindNamed(key.kind).shared({ public: key.public, threshold, membersMax });

/** Throws `KeyError` for a kind whose keys need a dealer: no order for such a key is taken. */
export function jointCreationOf(kind: string): JointCreation {
  const { joint } = kindNamed(kind);
  if (joint === null) throw new KeyError(`keys of kind ${kind} need a dealer`);
  return joint;
}
