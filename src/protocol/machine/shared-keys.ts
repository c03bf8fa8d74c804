/** The arithmetic of the keys that records name, by their kinds. */
import { KeyError } from '../../crypto/errors.ts';
import type { JointCreation } from '../../keys/kind/joint-creation.ts';
import type { KeySetting as KindSetting, SharedKey } from '../../keys/kind/shared-key.ts';
import { kindNamed } from '../../keys/kinds.ts';
import type { KeySetting } from './io.ts';

/** What a key's kind is told of it. */
export const settingForKind = ({ key, threshold, membersMax }: KeySetting): KindSetting => ({
  public: key.public,
  threshold,
  membersMax,
});

/**
 * The arithmetic of a key.
 * @throws KeyError for a kind that this version does not know. No value ever has such a key
 */
export const sharedKeyOf = (setting: KeySetting): SharedKey =>
  kindNamed(setting.key.kind).shared(settingForKind(setting));

/**
 * The arithmetic with which members create a key of this kind together.
 * @throws KeyError for a kind whose keys need a dealer. No order for a joint creation of such a key is
 * accepted
 */
export function jointCreationOf(kind: string): JointCreation {
  const { joint } = kindNamed(kind);
  if (joint === null) throw new KeyError(`keys of kind ${kind} need a dealer`);
  return joint;
}
