/** This machine does not give an address of the settings. The message names the cause and what to do. */
export class ListenError extends Error {
  /**
   * The system's own code of the cause, such as `EADDRINUSE`. `TWICE` for a port that the settings give
   * twice.
   */
  readonly code: string;

  /** `address` is the one that failed, or all of them when that one is not known. */
  constructor(what: string, address: string, cause: unknown) {
    const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? '';
    super(`${what} cannot listen on ${address}: ${reasons[code] ?? unknownReason}`, { cause });
    this.name = 'ListenError';
    this.code = code;
  }
}

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there; choose another port, or stop that program',
  EADDRNOTAVAIL: 'this machine has no such address; give one of its own, or /ip4/0.0.0.0 for all of them',
  EACCES: 'this account may not use that port; choose one from 1024 on',
  TWICE: 'the settings give this port twice; give one of the two another port',
  EAFNOSUPPORT: 'this machine has no IPv6; give an /ip4 address',
};
const unknownReason = 'choose another address, or stop the program that uses it';
