/**
 * The log, built so that it cannot contain a secret. It writes a field only when the name is in the closed
 * list below and the value has a harmless type. It writes '[withheld]' in the place of any other value. It
 * never writes byte arrays and bigints (shares, sub-shares, keys), under any name.
 */
import pino from 'pino';

/** The part of pino that Holdfast uses. Tests and libraries may pass any object of this shape. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
type LogLevel = (typeof logLevels)[number];

interface LogOptions {
  level: LogLevel | 'silent';
  /**
   * The place for the lines. The default is standard error, because standard output belongs to the commands.
   */
  destination?: { write(line: string): unknown };
  /** True: short lines for people, in the place of JSON. */
  pretty?: boolean;
}

/**
 * Every field name that may appear in the log. A name may be added only when its value can never be a secret.
 */
const safeFields: ReadonlySet<string> = new Set(
  `
  action address addresses answers attempt attending authenticated by bytes cipher client clusterId code
  command config connected count culprit dealer dealers dealings delayMs direction dropped durationMs
  epoch epochs err error event faults file fingerprint for from have helpers home host index indices input
  job k keyId keyName kind level limit listen member members method missing mode n name need next
  operation order orders output outputs owner peer peerId peers phase pid plan port protocol quorum reason
  received record records remaining request role room round rule run scenario scheme seed sequence service
  signal slot state status step suspects task timeoutMs to topic until url use validRound value valueHash
  version via waitMs why without worker
  `
    .trim()
    .split(/\s+/),
);

const withheld = '[withheld]';
const textLengthMax = 512;
const itemsMax = 64;

function safeValue(value: unknown, depth: number): unknown {
  if (value === null || value === undefined || typeof value === 'boolean' || typeof value === 'number')
    return value;
  if (typeof value === 'string')
    return value.length > textLengthMax ? `${value.slice(0, textLengthMax)}…` : value;
  if (value instanceof Error) return safeError(value);
  if (depth > 3 || typeof value !== 'object' || ArrayBuffer.isView(value) || value instanceof ArrayBuffer)
    return withheld;
  if (Array.isArray(value)) return value.slice(0, itemsMax).map((item) => safeValue(item, depth + 1));
  return safeObject(value, depth + 1);
}

/**
 * The message of an error is text of ours or of a library. Other properties may hold anything, so they are
 * left out.
 */
function safeError(error: Error): object {
  const code = (error as { code?: unknown }).code;
  return {
    name: error.name,
    message: safeValue(error.message, 0),
    ...(typeof code === 'string' ? { code } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
  };
}

function safeObject(fields: object, depth: number): object {
  const safe: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    safe[name] = safeFields.has(name) ? safeValue(value, depth) : withheld;
  }
  return safe;
}

function prettyLine(json: string): string {
  const { level, time, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const details = Object.entries(fields)
    .map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('');
  return `${String(time).slice(11, 23)} ${String(level).padEnd(5)} ${String(msg)}${details}\n`;
}

/**
 * The most bytes that wait while standard error takes nothing (a file on a full disk). Further lines are
 * dropped.
 */
const waitingBytesMax = 1024 * 1024;

function standardError(): { write(line: string): unknown } {
  const destination = pino.destination({ dest: 2, sync: true, maxLength: waitingBytesMax });
  // A daemon must not end because nobody can read its log. The lines are written when there is room again.
  destination.on('error', () => {});
  return destination;
}

/** A log that writes its lines to `destination`. It writes synchronously, so a crash loses nothing. */
export function createLog(options: LogOptions): Log {
  const destination = options.destination ?? standardError();
  const logger = pino(
    {
      level: options.level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    options.pretty ? { write: (line: string) => destination.write(prettyLine(line)) } : destination,
  );
  // Fields are cleaned before pino sees them. Pino chooses its own serializers by field name and would let
  // unknown fields through.
  const write =
    (level: LogLevel) =>
    (fields: object, message: string): void => {
      if (logger.isLevelEnabled(level))
        logger[level](fields instanceof Error ? { err: safeError(fields) } : safeObject(fields, 0), message);
    };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

/** A log that drops everything, for code that may run without a log. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
