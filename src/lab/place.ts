/** Where a peer of a lab runs. */
export interface Place {
  /** Multiaddrs with the ports on which the peer and its lobby listen. */
  listen: string;
  lobbyListen: string;
  /** The words before a command that start it there. */
  launcher: readonly string[];
}
