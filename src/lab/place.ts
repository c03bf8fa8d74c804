/** Where a peer of a lab runs. */
export interface Place {
  /** Multiaddrs with the ports that the peer and its lobby listen on. */
  listen: string;
  lobbyListen: string;
  /** Command words that start a program there. */
  launcher: readonly string[];
}
