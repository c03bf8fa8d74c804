/** The Unix socket in a peer's home: whether a daemon answers there, and clearing away what a killed one left. */

import { lstatSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { CodedError } from '../crypto/errors.ts';

/** The kernel's bound for a socket's path (`sun_path`), with the smallest of the supported systems. */
const pathBytesMax = 103;

export class SocketError extends CodedError<'in-use' | 'path-too-long' | 'not-a-socket' | 'no-tcp'> {
  override readonly name = 'SocketError';
}

/** Whether something listens on the socket. */
function isAnswering(socketFile: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketFile);
    const answer = (result: boolean) => () => {
      socket.destroy();
      resolve(result);
    };
    socket.once('connect', answer(true));
    socket.once('error', answer(false));
  });
}

/** Makes the path free to listen on: removes a dead daemon's socket. Throws `SocketError`. */
export async function claimSocket(socketFile: string): Promise<void> {
  if (Buffer.byteLength(socketFile) > pathBytesMax)
    throw new SocketError(
      'path-too-long',
      `the path ${socketFile} is too long for a socket; use a home with a shorter path`,
    );
  const found = lstatSync(socketFile, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new SocketError('not-a-socket', `${socketFile} is in the way; remove it`);
  if (await isAnswering(socketFile))
    throw new SocketError('in-use', 'a daemon is already running on this home; stop it first');
  rmSync(socketFile, { force: true });
}
