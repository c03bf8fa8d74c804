/**
 * A peer's settings: one commented YAML file in its home. The table below holds every setting with its check,
 * its default and its explanation in the file. Errors name the file, the line and the setting.
 */
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { multiaddr } from '@multiformats/multiaddr';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument, stringify } from 'yaml';
import { z } from 'zod';
import { cipherNames } from '../cipher/local-cipher.ts';
import { shape } from '../protocol/records/codec.ts';
import { limits } from '../protocol/records/limits.ts';
import { hostAndPort, isLoopback } from './addresses.ts';
import { logLevels } from './log.ts';

/** A wrong setting. The message is one line for the owner: file, line, setting, and what is wrong. */
export class SettingsError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'SettingsError';
  }
}

const dayMs = 24 * 60 * 60 * 1000;

const milliseconds = (min: number, max: number) =>
  z
    .number({ error: 'must be a number of milliseconds' })
    .int('must be a whole number of milliseconds')
    .min(min, `must be at least ${min}`)
    .max(max, `must be at most ${max}`);

const wholeNumber = (min: number, max: number) =>
  z
    .number({ error: 'must be a number' })
    .int('must be a whole number')
    .min(min, `must be at least ${min}`)
    .max(max, `must be at most ${max}`);

const fraction = z
  .number({ error: 'must be a number' })
  .min(0, 'must be at least 0')
  .lt(1, 'must be below 1');

/** The parts that an address may have, in this order: the host, the port, and the peer id. */
interface AddressForm {
  hosts: readonly string[];
  peer: 'never' | 'maybe' | 'always';
  example: string;
}

const ip = ['ip4', 'ip6'] as const;
const names = ['dns', 'dns4', 'dns6'] as const;
const forms = {
  /** A socket of this machine. TCP is the only transport, so nothing may follow the port. */
  listen: { hosts: ip, peer: 'never', example: '/ip4/0.0.0.0/tcp/4101' },
  /** Members are told this address, and they look up no names for others. */
  announce: { hosts: ip, peer: 'maybe', example: '/ip4/192.0.2.1/tcp/4101' },
  lobbyAnnounce: { hosts: [...ip, ...names], peer: 'maybe', example: '/dns4/a.example/tcp/4100' },
  bootstrap: { hosts: [...ip, ...names], peer: 'always', example: '/ip4/192.0.2.1/tcp/4101/p2p/12D3Koo…' },
} as const satisfies Record<string, AddressForm>;

const isAddress = (text: string, { hosts, peer }: AddressForm): boolean => {
  try {
    const [host, port, ...rest] = multiaddr(text)
      .getComponents()
      .map((component) => component.name);
    const ends = peer === 'never' ? [0] : peer === 'maybe' ? [0, 1] : [1];
    return (
      hosts.some((name) => name === host) &&
      port === 'tcp' &&
      ends.includes(rest.length) &&
      rest.every((name) => name === 'p2p')
    );
  } catch {
    return false;
  }
};

const addresses = (countMin: number, form: AddressForm) => {
  const message = `must be an address such as ${form.example}`;
  return z
    .array(
      z.string({ error: message }).refine((text) => isAddress(text, form), message),
      { error: 'must be a list of addresses' },
    )
    .min(countMin, `must name at least ${countMin} address`)
    .max(16, 'must name at most 16 addresses');
};

const fileName = z
  .string({ error: 'must be the name of a file' })
  .min(1, 'must be the name of a file')
  .nullable();

interface Setting<Type> {
  check: z.ZodType<Type>;
  /** The default. A setting without a default must be given. */
  standard?: Type;
  explained: string;
}
const setting = <Type>(explained: string, check: z.ZodType<Type>, standard?: Type): Setting<Type> =>
  standard === undefined ? { check, explained } : { check, explained, standard };

/** The rule of `shape.name`, in words. */
export const nameRule = 'lower-case letters, digits, dots and dashes, 63 at most';

const flag = z.boolean({ error: 'must be true or false' });

const table = {
  name: setting(
    `What people call this peer: ${nameRule}.`,
    z
      .string({ error: 'must be a name' })
      .refine((text) => shape.name.safeParse(text).success, `must be ${nameRule}`),
  ),
  cipher: setting(
    `The local cipher: ${cipherNames.join(', ')}. Each peer may have another one.\nIt is always a second layer, so a weak one takes nothing away.`,
    z.enum(cipherNames, { error: `must be one of ${cipherNames.join(', ')}` }),
    'aes' as const,
  ),
  gate: setting(
    'The random gate: the fraction of epochs, from 0 to below 1, in which this peer leaves the dealing to others.\nIt lowers the load of large groups; it is no security setting. 0: this peer always deals.',
    fraction,
    0,
  ),
  refreshPeriodMs: setting(
    'Every share is replaced once in this time. Milliseconds; a day is 86400000.',
    milliseconds(100, 365 * dayMs),
    dayMs,
  ),
  refreshJitter: setting(
    'Each period is longer or shorter by up to this fraction, from 0 to below 1.',
    fraction,
    0.1,
  ),
  archiveEpochsKept: setting(
    `The number of epochs whose public values and certificates this peer keeps in store/chain: 0 for all of them,\nelse at least ${limits.archiveEpochsMin}. With all of them the history can be checked here, and a peer that was away for long\nfinds here what it missed.`,
    wholeNumber(0, 1_000_000_000).refine((kept) => kept === 0 || kept >= limits.archiveEpochsMin, {
      error: `must be 0 (all) or at least ${limits.archiveEpochsMin}`,
    }),
    0,
  ),
  minimumIntervalMs: setting(
    "No refresh begins while the last epoch is younger than this. An operator's order does not wait. Milliseconds.",
    milliseconds(0, 30 * dayMs),
    60_000,
  ),
  dealingWindowMs: setting(
    'How long the first leader of an epoch change waits for more dealings. Milliseconds.',
    milliseconds(0, 10 * 60_000),
    10_000,
  ),
  roundTimeoutMs: setting(
    'How long the first round of an agreement waits; each further round waits longer. Milliseconds.',
    milliseconds(10, 30_000),
    1000,
  ),
  recoveryHoldMs: setting(
    'How long this peer holds back the next epoch change while it helps another one to recover. Milliseconds.',
    milliseconds(0, 60_000),
    10_000,
  ),
  listen: setting('Where this peer listens for the other members.', addresses(1, forms.listen), [
    '/ip4/0.0.0.0/tcp/4101',
  ]),
  announce: setting(
    'Addresses that this peer tells the members, in the place of those of its network interfaces.\n/ip4 or /ip6, no names.',
    addresses(0, forms.announce),
    [],
  ),
  lobbyListen: setting(
    'Where this peer listens for newcomers, while the operator has the lobby open.',
    addresses(1, forms.listen),
    ['/ip4/0.0.0.0/tcp/4100'],
  ),
  lobbyAnnounce: setting(
    'Addresses for invitations, in the place of those of the network interfaces; names (/dns4, /dns6) too.',
    addresses(0, forms.lobbyAnnounce),
    [],
  ),
  bootstrap: setting(
    'Addresses of members that this peer tries besides those that it knows already; names (/dns4, /dns6) too.\nEach ends in /p2p/<peer id>.',
    addresses(0, forms.bootstrap),
    [],
  ),
  mdns: setting('Whether members on the same network find each other by multicast DNS.', flag, true),
  apiListen: setting(
    'Where programs reach the HTTP API over TCP, such as 127.0.0.1:4180. null: they reach it on the Unix socket in the\nhome only. An address that other machines reach needs the two settings below.',
    z
      .string({ error: 'must be an IP address and a port such as 127.0.0.1:4180' })
      .refine(
        (text) => hostAndPort(text) !== null,
        'must be an IP address and a port such as 127.0.0.1:4180 or [::1]:4180',
      )
      .nullable(),
    null,
  ),
  apiCertificate: setting(
    "The file of the API's TLS certificate with its chain, in PEM. The path begins at the home.",
    fileName,
    null,
  ),
  apiCertificateKey: setting(
    'The file of the private key of that certificate, in PEM. Only its owner may read it (mode 600).',
    fileName,
    null,
  ),
  workers: setting('The number of threads for the heavy arithmetic.', wholeNumber(1, 64), 1),
  auditFileBytesMax: setting(
    'The most bytes of one file of the audit log; then a new one begins.',
    wholeNumber(64 * 1024, 1024 ** 3),
    16 * 1024 * 1024,
  ),
  auditFilesKept: setting(
    'The number of files of the audit log that are kept. The end of each file that is removed stays recorded.',
    wholeNumber(2, 10_000),
    32,
  ),
  logLevel: setting(
    `How much the daemon writes to standard error: ${logLevels.join(', ')}.`,
    z.enum(logLevels, { error: `must be one of ${logLevels.join(', ')}` }),
    'info' as const,
  ),
};

type Table = typeof table;
type SettingName = keyof Table;
/** The settings of a peer, checked. `table` has the meaning and the unit of each. */
export type Settings = { [Name in SettingName]: Table[Name] extends Setting<infer Type> ? Type : never };
export const settingNames = Object.keys(table) as SettingName[];

const standards = Object.fromEntries(
  settingNames.flatMap((name) => (table[name].standard === undefined ? [] : [[name, table[name].standard]])),
);

/**
 * The text of a settings file: every setting with its explanation. A setting that is not in `values` has its
 * default.
 */
export function settingsText(values: Partial<Settings> & Pick<Settings, 'name'>): string {
  const all: Record<string, unknown> = { ...standards, ...values };
  const entries = settingNames.map((name) => {
    const comment = table[name].explained
      .split('\n')
      .map((line) => `# ${line}\n`)
      .join('');
    return comment + stringify({ [name]: all[name] });
  });
  return `# Settings of a Holdfast peer. A change takes effect when the daemon starts again.\n\n${entries.join('\n')}`;
}

/**
 * Reads and checks a settings file.
 * @throws SettingsError with one line, such as `settings.yaml:7: gate must be below 1 (it is 1.5)`
 */
export function readSettings(file: string): Settings {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new SettingsError(`${file} cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  return parseSettings(text, basename(file));
}

const errorCharactersMax = 500;

/**
 * Checks the text of a settings file. `file` is the file's name for the errors. With null, errors name
 * neither file nor line.
 * @throws SettingsError
 */
export function parseSettings(text: string, file: string | null = 'settings.yaml'): Settings {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const fail = (offset: number | undefined, why: string): never => {
    // Text from the file may hold any characters. The message must stay one line.
    const what = why.replaceAll(/[\p{Cc}\u2028\u2029]/gu, '·').slice(0, errorCharactersMax);
    if (file === null) throw new SettingsError(what);
    const place = offset === undefined ? file : `${file}:${lines.linePos(offset).line}`;
    throw new SettingsError(`${place}: ${what}`);
  };
  const broken = document.errors[0];
  if (broken !== undefined) fail(broken.pos[0], `not readable as YAML: ${broken.message.split('\n')[0]}`);
  if (!isMap(document.contents)) fail(undefined, 'must be a list of settings, one `name: value` a line');
  const data: Record<string, unknown> = document.toJS();
  for (const given of Object.keys(data))
    if (!(given in table))
      fail(
        keyOffset(document, given),
        `there is no setting ${given.slice(0, 30)}; there are ${settingNames.join(', ')}`,
      );
  const settings: Record<string, unknown> = {};
  for (const name of settingNames) {
    const value = data[name] ?? table[name].standard;
    if (value === undefined) fail(keyOffset(document, name), `${name} is missing`);
    const checked = table[name].check.safeParse(value);
    const issue = checked.success ? undefined : checked.error.issues[0];
    if (issue !== undefined) {
      const path = [name, ...issue.path] as Array<string | number>;
      const wrong = issue.path.reduce<unknown>((inner, key) => (inner as never)?.[key as never], value);
      fail(valueOffset(document, path), `${name} ${issue.message} (it is ${shown(wrong)})`);
    }
    settings[name] = value;
  }
  const result = settings as Settings;
  if (result.minimumIntervalMs > result.refreshPeriodMs)
    fail(
      keyOffset(document, 'minimumIntervalMs') ?? keyOffset(document, 'refreshPeriodMs'),
      `minimumIntervalMs must be at most refreshPeriodMs (${result.minimumIntervalMs} is over ${result.refreshPeriodMs})`,
    );
  const { apiListen, apiCertificate, apiCertificateKey } = result;
  if ((apiCertificate === null) !== (apiCertificateKey === null))
    fail(
      keyOffset(document, apiCertificate === null ? 'apiCertificateKey' : 'apiCertificate'),
      'apiCertificate and apiCertificateKey go together; set both, or neither',
    );
  const host = apiListen === null ? undefined : hostAndPort(apiListen)?.host;
  if (host !== undefined && !isLoopback(host) && apiCertificate === null)
    fail(
      keyOffset(document, 'apiListen'),
      `apiListen ${apiListen} is open to other machines and needs TLS: set apiCertificate and apiCertificateKey, or listen on 127.0.0.1`,
    );
  return result;
}

function keyOffset(document: Document, name: string): number | undefined {
  if (!isMap(document.contents)) return undefined;
  const pair = document.contents.items.find((item) => isScalar(item.key) && item.key.value === name);
  return pair !== undefined && isNode(pair.key) ? pair.key.range?.[0] : undefined;
}

function valueOffset(document: Document, path: ReadonlyArray<string | number>): number | undefined {
  const node = document.getIn(path, true);
  return (isNode(node) ? node.range?.[0] : undefined) ?? keyOffset(document, String(path[0]));
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}
