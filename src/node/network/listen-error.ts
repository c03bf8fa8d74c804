/** An address of the settings that this machine does not give: another program has it, or it is none of this machine's. */
export class ListenError extends Error {
  constructor(what: string, addresses: readonly string[], cause: unknown) {
    const where = addresses.join(', ');
    super(`${what} cannot listen on ${where}; choose another address, or stop the program that uses it`, {
      cause,
    });
    this.name = 'ListenError';
  }
}
