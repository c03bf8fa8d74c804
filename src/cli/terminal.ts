/**
 * All rules of talking to a person or a script, in one place: results go to standard output (text for people, or one
 * JSON document with --json), progress and warnings to standard error; colours only on a terminal and never with
 * NO_COLOR; an error is one line, "what happened; what to do next"; exit codes mean what `exitCodes` says.
 */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { styleText } from 'node:util';
import { CommanderError } from 'commander';
import { ApiError } from '../api/client.ts';
import { SocketError } from '../api/socket.ts';
import { SealError } from '../cipher/seal-error.ts';
import { KeyError } from '../crypto/errors.ts';
import { HomeError } from '../node/home.ts';
import { SettingsError } from '../node/settings.ts';
import { StoreError } from '../node/store/store-error.ts';
import { DaemonError } from '../node/view.ts';
import { ProtocolError } from '../protocol/errors.ts';

export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  refused: 3,
  'not-enough-peers': 4,
  'not-running': 5,
} as const;
export type Outcome = Exclude<keyof typeof exitCodes, 'done'>;

/** Ends a command: one line for people, and the exit code. */
export class CommandError extends Error {
  readonly outcome: Outcome;
  constructor(outcome: Outcome, message: string) {
    super(message);
    this.name = 'CommandError';
    this.outcome = outcome;
  }
}

const { stdin, stdout, stderr } = process;
type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green';
const styled = (style: Style, text: string, stream: NodeJS.WriteStream): string =>
  styleText(style, text, { stream, validateStream: true });

/** A line of the result. */
export const say = (line = ''): void => void stdout.write(`${line}\n`);
export const strong = (text: string): string => styled('bold', text, stdout);
export const faint = (text: string): string => styled('dim', text, stdout);
export const bad = (text: string): string => styled('red', text, stdout);

/** What goes on meanwhile. */
export const progress = (line: string): void => void stderr.write(`${styled('dim', line, stderr)}\n`);
export const warn = (line: string): void =>
  void stderr.write(`${styled('yellow', `warning: ${line}`, stderr)}\n`);

/** The one JSON document of a command that reports. Bytes and bigints never get here. */
export const sayJson = (document: unknown): void => say(JSON.stringify(document, null, 2));

/** Raw bytes; refused on a terminal, which they would only confuse. */
export function sayBytes(bytes: Uint8Array): void {
  if (stdout.isTTY)
    throw new CommandError('usage', 'the result is raw bytes; send it to a file: holdfast … > FILE');
  stdout.write(bytes);
}

/** Rows under headings, in columns that fit the longest entry. */
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

/** A yes-or-no question; anything but y or yes means no. `instead`: what a script does, where nobody can answer. */
export async function confirm(question: string, instead: string): Promise<boolean> {
  if (!stdin.isTTY) throw new CommandError('usage', `nobody can answer "${question}" here; ${instead}`);
  const reader = createInterface({ input: stdin, output: stderr });
  try {
    return /^y(es)?$/i.test((await reader.question(`${question} [y/N] `)).trim());
  } finally {
    reader.close();
  }
}

/** What a person types in answer to a question, in the open. `instead`: what a script does, where nobody can answer. */
export async function confirmTyped(question: string, instead: string): Promise<string> {
  if (!stdin.isTTY) throw new CommandError('usage', `nobody can type it here; ${instead}`);
  const reader = createInterface({ input: stdin, output: stderr });
  try {
    return (await reader.question(question)).trim();
  } finally {
    reader.close();
  }
}

/** Reads a passphrase from the terminal without showing it. `instead`: how a script gives it. */
function askHidden(question: string, instead: string): Promise<string> {
  if (!stdin.isTTY)
    throw new CommandError('usage', `a passphrase is needed and nobody can type it here; give ${instead}`);
  // Silent before the question shows, so that not even the quickest typist is echoed.
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
        if (character === '\u0003') {
          finish(() => reject(new CommandError('failed', 'stopped; nothing was done')));
          return;
        }
        if (character === '\u007f' || character === '\b') typed = [...typed].slice(0, -1).join('');
        else typed += character;
      }
    };
    stdin.on('data', read);
  });
}

/**
 * The operator's passphrase: from the file, the environment, or the terminal (twice for a new one). Never empty.
 * @param file its first line is the passphrase
 */
export async function operatorPassphrase(options: {
  file: string | undefined;
  fresh: boolean;
  of: string;
}): Promise<string> {
  const { file, fresh, of } = options;
  const instead = '--operator-passphrase-file or HOLDFAST_OPERATOR_PASSPHRASE';
  const given = file === undefined ? process.env.HOLDFAST_OPERATOR_PASSPHRASE : firstLine(file);
  const passphrase = given ?? (await askHidden(`passphrase for ${of}: `, instead));
  if (passphrase === '')
    throw new CommandError(
      'usage',
      'the passphrase is empty; an operator key without one is open to everybody',
    );
  if (fresh && given === undefined && passphrase !== (await askHidden('the same again: ', instead)))
    throw new CommandError('usage', 'the two passphrases differ; nothing was done');
  return passphrase;
}

/** The passphrase of an encrypted PEM file: the first line of `file`, or from the terminal. */
export const pemPassphrase = async (file: string | undefined, of: string): Promise<string> =>
  file === undefined ? askHidden(`passphrase for ${of}: `, '--pem-passphrase-file') : firstLine(file);

const firstLine = (file: string): string => readInput(file).toString('utf8').split(/\r?\n/)[0] ?? '';

/** Reads a file that the person named, or standard input for `-`. */
export function readInput(file: string): Buffer {
  try {
    return readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT'
        ? 'there is no such file'
        : code === 'EACCES'
          ? 'it is not yours to read'
          : code === 'EISDIR'
            ? 'it is a folder'
            : code;
    throw new CommandError('failed', `${file} cannot be read: ${why}`);
  }
}

const apiOutcomes: Partial<Record<ApiError['code'], Outcome>> = {
  refused: 'refused',
  malformed: 'refused',
  'not-a-member': 'refused',
  'not-enough-peers': 'not-enough-peers',
  'not-running': 'not-running',
};

/** What a person is told about an error, and the exit code; null for a bug. */
function explain(error: unknown): { line: string; outcome: Outcome } | null {
  if (error instanceof CommandError) return { line: error.message, outcome: error.outcome };
  if (error instanceof ApiError) {
    const next = error.code === 'not-running' ? '; start it with: holdfast start' : named(error.details);
    return { line: error.message + next, outcome: apiOutcomes[error.code] ?? 'failed' };
  }
  if (error instanceof ProtocolError || error instanceof SealError)
    return { line: error.message, outcome: 'refused' };
  if (error instanceof HomeError) {
    const next =
      error.code === 'missing' || error.code === 'not-a-home'
        ? '; make one with: holdfast cluster init, or: holdfast join'
        : '';
    return { line: error.message + next, outcome: 'failed' };
  }
  if (error instanceof StoreError || error instanceof DaemonError)
    return { line: error.message, outcome: 'failed' };
  if (error instanceof SettingsError || error instanceof SocketError || error instanceof KeyError)
    return { line: error.message, outcome: 'failed' };
  return null;
}

const named = (details: Record<string, string>): string => {
  const entries = Object.entries(details).map(([name, why]) => (why === '' ? name : `${name} (${why})`));
  return entries.length === 0 ? '' : `: ${entries.join(', ')}`;
};

/** Runs the command line and sets the exit code. A bug shows its stack and exits with 1. */
export async function runCommand(run: () => Promise<unknown>): Promise<void> {
  // A reader that stops early (`holdfast … | head`) is no error.
  stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));
  try {
    await run();
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
      return;
    }
    const explained = explain(error);
    const line = explained?.line ?? (error instanceof Error ? error.stack : String(error));
    stderr.write(`${styled('red', 'holdfast:', stderr)} ${line}\n`);
    process.exitCode = exitCodes[explained?.outcome ?? 'failed'];
  }
}

/** Commander's own complaints, in our form: one line. */
export const usageOutput = {
  writeErr: (text: string) => {
    const line = text
      .trim()
      .replace(/^error: /, '')
      .replaceAll(/\s*\n\s*/g, ' ');
    stderr.write(
      text.startsWith('error:')
        ? `${styled('red', 'holdfast:', stderr)} ${line}; see holdfast --help\n`
        : text,
    );
  },
};
