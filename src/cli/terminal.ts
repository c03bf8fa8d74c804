/**
 * All rules of output for a person or a script.
 *
 * - Results go to standard output: text for people, or one JSON document with `--json`.
 * - Progress and warnings go to standard error.
 * - Colours are used only on a terminal, and never with `NO_COLOR`.
 * - An error is one line: "what happened; what to do next". The exit codes are those of `exitCodes`.
 */
import { readFileSync, type Stats, statSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { styleText } from 'node:util';
import { CommanderError } from 'commander';
import { SocketError } from '../api/socket.ts';
import { SealError } from '../cipher/seal-error.ts';
import { ApiError } from '../client/api-client.ts';
import { ClientError } from '../client/client-error.ts';
import { KeyError } from '../crypto/errors.ts';
import { DaemonError } from '../node/errors.ts';
import { HomeError } from '../node/home/home.ts';
import { ListenError } from '../node/network/listen-error.ts';
import { SettingsError } from '../node/settings.ts';
import { StoreError } from '../node/store/store-error.ts';
import { isOfOtherVersion, ProtocolError } from '../protocol/records/errors.ts';

const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  'not-enough-peers': 4,
  'not-running': 5,
} as const;
type Outcome = Exclude<keyof typeof exitCodes, 'done'>;

/** Ends a command with one line for people and an exit code. */
export class CommandError extends Error {
  readonly outcome: Outcome;
  constructor(outcome: Outcome, message: string) {
    super(message);
    this.name = 'CommandError';
    this.outcome = outcome;
  }
}

/** The person stopped the command (Ctrl-C). Nothing failed, but the command has not done its work. */
export class Stopped extends CommandError {
  constructor(message = 'stopped; nothing was done') {
    super('failed', message);
    this.name = 'Stopped';
  }
}

const { stdin, stdout, stderr } = process;
type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green';
const styled = (style: Style, text: string, stream: NodeJS.WriteStream): string =>
  styleText(style, text, { stream, validateStream: true });

/** Prints a line of the result. */
export const say = (line = ''): void => void stdout.write(`${line}\n`);
export const strong = (text: string): string => styled('bold', text, stdout);
export const faint = (text: string): string => styled('dim', text, stdout);
export const bad = (text: string): string => styled('red', text, stdout);
export const doubtful = (text: string): string => styled('yellow', text, stdout);

/** Prints a line about the progress. */
export const progress = (line: string): void => void stderr.write(`${styled('dim', line, stderr)}\n`);
export const warn = (line: string): void =>
  void stderr.write(`${styled('yellow', `warning: ${line}`, stderr)}\n`);

/**
 * Prints the one JSON document of a command. Byte arrays and bigints were turned into hex or base64 before.
 */
export const sayJson = (document: unknown): void => say(JSON.stringify(document, null, 2));

/** Prints one of many JSON documents in a line of its own, for a command that goes on. */
export const sayJsonLine = (document: unknown): void => say(JSON.stringify(document));

/**
 * Refuses to write raw bytes to a terminal. A command calls it first, so that the group is not asked for a
 * result that nobody gets.
 * @throws CommandError `usage`
 */
export function refuseBytesOnTerminal({ json }: { json: boolean }): void {
  if (stdout.isTTY && !json)
    throw new CommandError('usage', 'the result is raw bytes; send it to a file: holdfast … > FILE');
}

export const sayBytes = (bytes: Uint8Array): void => void stdout.write(bytes);

/** Prints rows under headings. Each column fits its longest entry. */
export function sayTable(headings: readonly string[], rows: ReadonlyArray<readonly string[]>): void {
  const widths = headings.map((heading, at) =>
    Math.max(heading.length, ...rows.map((row) => row[at]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, at) => (at === cells.length - 1 ? cell : cell.padEnd(widths[at] ?? 0)))
      .join('  ')
      .trimEnd();
  say(faint(line(headings)));
  for (const row of rows) say(line(row));
}

/**
 * Asks a yes-or-no question. Anything but y or yes means no. `instead` says how a script answers.
 * @throws CommandError `usage` when standard input is no terminal, Stopped
 */
export async function confirm(question: string, instead: string): Promise<boolean> {
  if (!stdin.isTTY) throw new CommandError('usage', `nobody can answer "${question}" here; ${instead}`);
  return /^y(es)?$/i.test(await answerTo(`${question} [y/N] `));
}

/**
 * Asks a question, and gives the text that the person types in the open. `instead` says how a script answers.
 * @throws CommandError `usage` when standard input is no terminal, Stopped
 */
export async function confirmTyped(question: string, instead: string): Promise<string> {
  if (!stdin.isTTY) throw new CommandError('usage', `nobody can type it here; ${instead}`);
  return answerTo(question);
}

/** Throws `Stopped` on Ctrl-C and Ctrl-D. `question` alone would then never settle. */
async function answerTo(question: string): Promise<string> {
  const reader = createInterface({ input: stdin, output: stderr });
  try {
    const answer = await new Promise<string>((resolve, reject) => {
      reader.once('close', () => reject(new Stopped()));
      reader.question(question).then(resolve, () => reject(new Stopped()));
    });
    return answer.trim();
  } finally {
    reader.close();
  }
}

/**
 * Reads a passphrase from the terminal without showing it. `instead` says how a script gives it.
 * @throws CommandError `usage` when standard input is no terminal, Stopped
 */
export function askHidden(question: string, instead: string): Promise<string> {
  if (!stdin.isTTY)
    throw new CommandError('usage', `a passphrase is needed and nobody can type it here; give ${instead}`);
  // The echo ends before the question shows, so that nothing of a quick typist is shown.
  stdin.setRawMode(true).setEncoding('utf8').resume();
  stderr.write(question);
  return new Promise((resolve, reject) => {
    let typed = '';
    const finish = (settle: () => void): void => {
      stdin.off('data', read).setRawMode(false).pause();
      stderr.write('\n');
      settle();
    };
    const read = (text: string): void => {
      for (const character of text) {
        if (character === '\r' || character === '\n') {
          finish(() => resolve(typed));
          return;
        }
        if (character === '\u0003' || character === '\u0004') {
          finish(() => reject(new Stopped()));
          return;
        }
        if (character === '\u007f' || character === '\b') typed = [...typed].slice(0, -1).join('');
        else typed += character;
      }
    };
    stdin.on('data', read);
  });
}

/** The most bytes that Node reads of a file at once. Standard input gets the same bound. */
const inputBytesMax = 2 ** 31 - 1;

const unreadable: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  ENAMETOOLONG: 'there is no such file',
  EACCES: 'it is not yours to read',
  EISDIR: 'it is a folder',
  ERR_FS_FILE_TOO_LARGE: 'it is over 2 GiB',
};

/**
 * Reads a file that the person named, or all of standard input for `-`. Waits as long as standard input
 * takes.
 * @throws CommandError `failed`
 */
export async function readInput(file: string): Promise<Buffer> {
  try {
    return file === '-' ? await readStandardInput() : readFileSync(file);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    const shown = file === '-' ? 'standard input' : file;
    throw new CommandError('failed', `${shown} cannot be read: ${unreadable[code] ?? code}`);
  }
}

/**
 * Node has made standard input non-blocking, so a plain read fails while nothing is there. A stream waits.
 */
async function readStandardInput(): Promise<Buffer> {
  if (stdin.readableEnded) return Buffer.alloc(0); // it was read before
  if (stdin.isTTY) progress('type it here, and end it with Ctrl-D on a line of its own');
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stdin) {
    length += chunk.length;
    if (length > inputBytesMax)
      throw Object.assign(new Error('the input is too large'), { code: 'ERR_FS_FILE_TOO_LARGE' });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const secretBytesMax = 64 * 1024;

/**
 * The same as `readInput`, for a file of at most `secretBytesMax` bytes that holds a secret. Others must not
 * be able to read the file. The caller wipes the content.
 */
export async function readSecretInput(file: string): Promise<Buffer> {
  if (othersMayRead(file))
    throw new CommandError('failed', `others on this machine may read ${file}; run: chmod 600 ${file}`);
  if ((regularFile(file)?.size ?? 0) > secretBytesMax)
    throw new CommandError(
      'failed',
      `${file} is too large for what it should hold: over ${secretBytesMax} bytes`,
    );
  return readInput(file);
}

/** Whether other users can read or write a regular file. False for `-`, and for pipes and devices. */
export const othersMayRead = (file: string): boolean => ((regularFile(file)?.mode ?? 0) & 0o077) !== 0;

/** Undefined for pipes and devices: their modes and sizes mean nothing. */
function regularFile(file: string): Stats | undefined {
  const found = file === '-' ? undefined : statSync(file, { throwIfNoEntry: false });
  return found?.isFile() ? found : undefined;
}

const apiOutcomes: Partial<Record<ApiError['code'], Outcome>> = {
  refused: 'refused',
  malformed: 'refused',
  'socket-only': 'refused',
  'over-rate': 'refused',
  untrusted: 'refused',
  'not-a-member': 'refused',
  'not-enough-peers': 'not-enough-peers',
  'not-running': 'not-running',
};

const clientOutcomes: Record<ClientError['code'], Outcome> = {
  'not-to-be-trusted': 'refused',
  'false-signature': 'failed',
  'not-founded': 'failed',
  unreachable: 'not-running',
  'not-a-member': 'refused',
  'not-enough-peers': 'not-enough-peers',
  unavailable: 'failed',
  refused: 'refused',
  'over-rate': 'refused',
  'no-such-key': 'refused',
  'wrong-input': 'refused',
  'not-decryptable': 'refused',
  'bad-file': 'failed',
  'other-version': 'failed',
  'wrong-passphrase': 'refused',
};

const howToStart = '; start it with: holdfast start';

/** The next step at a terminal. A program has other next steps. */
const nextSteps: Partial<Record<ClientError['code'], string>> = {
  'not-founded': '; admit its first members with: holdfast admit',
  unreachable: howToStart,
  'no-such-key': '; see holdfast key list',
  'false-signature': '; nothing was written',
  'not-decryptable': '; nothing was written',
};

/** The line for a person and the exit code of an error. Null for a bug. */
export function explain(error: unknown): { line: string; outcome: Outcome } | null {
  if (error instanceof CommandError) return { line: error.message, outcome: error.outcome };
  if (error instanceof ApiError) {
    const next = error.code === 'not-running' ? howToStart : '';
    return { line: error.inFull + next, outcome: apiOutcomes[error.code] ?? 'failed' };
  }
  if (error instanceof ClientError)
    return { line: error.message + (nextSteps[error.code] ?? ''), outcome: clientOutcomes[error.code] };
  if (error instanceof ProtocolError || error instanceof SealError)
    return { line: error.message, outcome: isOfOtherVersion(error) ? 'failed' : 'refused' };
  if (error instanceof HomeError) {
    const next =
      error.code === 'missing' || error.code === 'not-a-home'
        ? '; make one with: holdfast cluster init, or: holdfast join'
        : '';
    return { line: error.message + next, outcome: 'failed' };
  }
  if (error instanceof StoreError || error instanceof DaemonError)
    return { line: error.message, outcome: 'failed' };
  if (
    error instanceof SettingsError ||
    error instanceof SocketError ||
    error instanceof ListenError ||
    error instanceof KeyError
  )
    return { line: error.message, outcome: 'failed' };
  // The system refused something. Its line says what and where (`ENOSPC: no space left on device, write`).
  if (error instanceof Error && 'syscall' in error) return { line: error.message, outcome: 'failed' };
  return null;
}

const sayError = (line: string): void => void stderr.write(`${styled('red', 'holdfast:', stderr)} ${line}\n`);

const unwritable: Readonly<Record<string, string>> = { ENOSPC: 'the disk is full', EIO: 'the disk failed' };

/**
 * Runs the command line and sets the exit code. A bug shows its stack and exits with 1. After an error the
 * process ends at once. Nothing that still listens, waits or computes in it is needed any more.
 */
export async function runCommand(run: () => Promise<unknown>): Promise<void> {
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    // A reader that stops early (`holdfast … | head`) is no error.
    if (error.code === 'EPIPE') process.exit(exitCodes.done);
    sayError(`standard output cannot be written: ${unwritable[error.code ?? ''] ?? error.message}`);
    process.exit(exitCodes.failed);
  });
  try {
    await run();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
      return;
    }
    const explained = explain(error);
    const line = explained?.line ?? (error instanceof Error ? error.stack : String(error));
    sayError(String(line));
    process.exit(exitCodes[explained?.outcome ?? 'failed']);
  }
}

/** Turns Commander's complaints about a command's arguments into one line of our form. */
export const usageOutput = (command: string) => ({
  writeErr: (text: string) => {
    if (!text.startsWith('error:')) return void stderr.write(text);
    const line = text
      .trim()
      .replace(/^error: /, '')
      .replaceAll(/\s*\n\s*/g, ' ')
      .replace(
        / is invalid\. (.)(.*?)\.?$/,
        (_, first: string, rest: string) => ` is invalid: ${first.toLowerCase()}${rest}`,
      );
    sayError(`${line}; see ${command} --help`);
  },
});
