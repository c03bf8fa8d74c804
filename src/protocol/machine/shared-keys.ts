/** The arithmetic of the keys that records name. */
import type { SharedKey } from '../../keys/kind.ts';
import { kindNamed } from '../../keys/kinds.ts';
import type { KeySetting } from './io.ts';

/** Throws `KeyError` for a kind that this version does not know: no such key ever gets into a value. */
export const sharedKeyOf = ({ key, threshold, membersMax }: KeySetting): SharedKey =>
  kindNamed(key.kind).shared({ public: key.public, threshold, membersMax });
