import type { PauseView } from '../node/views/view.ts';

/** A hold or a wait of a recovery (protocol §5) in words. */
export function pauseInWords({ kind, epoch, member, ms, lasts }: PauseView): string {
  if (kind === 'held')
    return lasts
      ? `change to epoch ${epoch} is held for ${member}, ${ms} ms so far`
      : `change to epoch ${epoch} was held ${ms} ms for ${member}`;
  return lasts
    ? `${member} waits for epoch ${epoch} to finish`
    : `${member} waited ${ms} ms for epoch ${epoch} to finish`;
}
