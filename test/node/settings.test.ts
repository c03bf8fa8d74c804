import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { cipherNames } from '../../src/cipher/local-cipher.ts';
import { parseSettings, settingNames, settingsText } from '../../src/node/settings.ts';

const config = fileURLToPath(new URL('../../config/', import.meta.url));
const full = 'settings.yaml';
const textOf = (file: string): string => readFileSync(join(config, file), 'utf8');
const short = readdirSync(config, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.yaml') && file !== full)
  .sort();
const defaultsOf = (name: string) => parseSettings(settingsText({ name }));

/** Names of settings in the text that are commented: a comment stands right above. */
const explained = (text: string): string[] =>
  [...text.matchAll(/^# .*\n(\w+):/gm)].map(([, name = '']) => name);
/** Lines of a short example that say what every peer has anyway. */
function idle(text: string): string[] {
  const given = Object.entries(parse(text) as Record<string, unknown>);
  const defaults: Record<string, unknown> = { ...defaultsOf('a'), name: undefined };
  return given.filter(([name, value]) => isDeepStrictEqual(value, defaults[name])).map(([name]) => name);
}

describe('settings', () => {
  test('the full example has every setting with its default and its explanation, as a new home has', async () => {
    const { name } = parseSettings(textOf(full), full);
    await expect(settingsText({ name })).toMatchFileSnapshot(join(config, full));
    expect(Object.keys(parse(textOf(full)) as object)).toEqual(settingNames);
    expect(explained(textOf(full))).toEqual(settingNames);
    expect(parseSettings(textOf(full))).toEqual(parseSettings(`name: ${name}`));
  });

  test('the name of each number says its unit, but for fractions and for the number of threads', () => {
    const numbers = Object.entries(defaultsOf('a')).filter(([, value]) => typeof value === 'number');
    const bare = numbers.map(([name]) => name).filter((name) => !/Ms$|Bytes|Epochs|Files/.test(name));
    expect(bare).toEqual(['gate', 'refreshJitter', 'workers']);
  });

  test.each(short)('the example %s is a whole file, and every line differs from the default', (file) => {
    const settings = parseSettings(textOf(file), file);
    expect(`${settings.name}.yaml`).toBe(basename(file));
    expect(idle(textOf(file))).toEqual([]);
  });

  test('a line that says the default is found', () => {
    expect(
      idle('name: b\ncipher: aes\nmdns: false\nannounce: []\nlisten:\n  - /ip4/0.0.0.0/tcp/1\n'),
    ).toEqual(['cipher', 'announce']);
  });

  test('there are examples for five peers on a LAN, three peers with DES, AES and Blowfish, and a service', () => {
    const ciphers = (folder: string) =>
      short
        .filter((file) => file.startsWith(folder))
        .map((file) => parseSettings(textOf(file)).cipher)
        .sort();
    expect(ciphers('lan-five-peers')).toEqual([...cipherNames].sort());
    expect(ciphers('three-peers')).toEqual(['aes', 'blowfish', 'des']);
    expect(ciphers('systemd')).toHaveLength(1);
  });

  test('what is written is what is read', () => {
    const values = fc.record({
      name: fc.stringMatching(/^[a-z0-9][a-z0-9.-]{0,62}$/),
      cipher: fc.constantFrom(...cipherNames),
      gate: fc.double({ min: 0, max: 0.999, noNaN: true }),
      mdns: fc.boolean(),
      workers: fc.integer({ min: 1, max: 64 }),
      listen: fc.array(
        fc.integer({ min: 0, max: 65535 }).map((port) => `/ip4/127.0.0.1/tcp/${port}`),
        {
          minLength: 1,
          maxLength: 3,
        },
      ),
    });
    fc.assert(
      fc.property(values, (given) => {
        expect(parseSettings(settingsText(given))).toMatchObject(given);
      }),
    );
  });

  test.each([
    ['name: b\n\ngate: 1.5', 'settings.yaml:3: gate must be below 1 (it is 1.5)'],
    ['name: b\ngate: -0.1', 'settings.yaml:2: gate must be at least 0 (it is -0.1)'],
    ['name: b\ngate: half', 'settings.yaml:2: gate must be a number (it is "half")'],
    ['name: b\ngaet: 0', `settings.yaml:2: there is no setting gaet; there are ${settingNames.join(', ')}`],
    [
      'name: B',
      'settings.yaml:1: name must be lower-case letters, digits, dots and dashes, 63 at most (it is "B")',
    ],
    ['cipher: aes', 'settings.yaml: name is missing'],
    [
      'name: b\ncipher: rot13',
      'settings.yaml:2: cipher must be one of aes, blowfish, des, 3des, xchacha20 (it is "rot13")',
    ],
    ['name: b\nworkers: 1.5', 'settings.yaml:2: workers must be a whole number (it is 1.5)'],
    ['name: b\nmdns: perhaps', 'settings.yaml:2: mdns must be true or false (it is "perhaps")'],
    [
      'name: b\nlisten:\n  - /ip4/127.0.0.1/tcp/1\n  - /ip4/127.0.0.1/udp/1',
      'settings.yaml:4: listen must be an address such as /ip4/0.0.0.0/tcp/4101 (it is "/ip4/127.0.0.1/udp/1")',
    ],
    [
      'name: b\napiListen: 4180',
      'settings.yaml:2: apiListen must be an IP address and a port such as 127.0.0.1:4180 (it is 4180)',
    ],
    [
      'name: b\napiListen: localhost:4180',
      'settings.yaml:2: apiListen must be an IP address and a port such as 127.0.0.1:4180 or [::1]:4180 (it is "localhost:4180")',
    ],
    [
      'name: b\napiListen: 0.0.0.0:4180',
      'settings.yaml:2: apiListen 0.0.0.0:4180 is open to other machines and needs TLS: set apiCertificate and apiCertificateKey, or listen on 127.0.0.1',
    ],
    [
      'name: b\napiListen: "[2001:db8::1]:4180"',
      'settings.yaml:2: apiListen [2001:db8::1]:4180 is open to other machines and needs TLS: set apiCertificate and apiCertificateKey, or listen on 127.0.0.1',
    ],
    [
      'name: b\napiListen: 127.0.0.1:4180\napiCertificate: api.crt',
      'settings.yaml:3: apiCertificate and apiCertificateKey go together; set both, or neither',
    ],
    ...['/ip4/127.0.0.1/tcp/1/ws', '/dns4/b.example/tcp/4101', '/ip4/127.0.0.1'].map((address) => [
      `name: b\nlisten: [${address}]`,
      `settings.yaml:2: listen must be an address such as /ip4/0.0.0.0/tcp/4101 (it is "${address}")`,
    ]),
    ['name: b\nlisten: []', 'settings.yaml:2: listen must name at least 1 address (it is [])'],
    [
      'name: b\nannounce: [/dns4/b.example/tcp/4101]',
      'settings.yaml:2: announce must be an address such as /ip4/192.0.2.1/tcp/4101 (it is "/dns4/b.example/tcp/4101")',
    ],
    [
      'name: b\nbootstrap: [/ip4/127.0.0.1/tcp/1]',
      'settings.yaml:2: bootstrap must be an address such as /ip4/192.0.2.1/tcp/4101/p2p/12D3Koo… (it is "/ip4/127.0.0.1/tcp/1")',
    ],
    ['name: b\nname: c', 'settings.yaml:2: not readable as YAML: Map keys must be unique'],
    ['- b', 'settings.yaml: must be a list of settings, one `name: value` a line'],
    [
      'name: b\nrefreshPeriodMs: 1000\nminimumIntervalMs: 2000',
      'settings.yaml:3: minimumIntervalMs must be at most refreshPeriodMs (2000 is over 1000)',
    ],
  ])('a mistake is shown with its line: %j', (text, message) => {
    expect(() => parseSettings(text)).toThrow(message);
  });
});
