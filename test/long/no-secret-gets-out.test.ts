/**
 * A group in its own processes is created, used, refreshed, joined, refused and crashed, with debug logs;
 * then everything that it let out (logs, crash output, answers of the API, audit logs, output of commands) is
 * searched for every secret that it had.
 */
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openClientKey, openOperatorFile } from '../../src/cli/key-files.ts';
import { modInverse } from '../../src/crypto/integers.ts';
import { Lab } from '../../src/lab/lab.ts';
import { openKey } from '../../src/lab/signing-program.ts';
import { fromHex } from '../../src/protocol/records/codec.ts';
import { readyPrimes } from '../../src/simulation/world/sample-keys.ts';
import { foundIn } from '../support/needles.ts';
import { kindsInStores, SecretsInHomes } from '../support/secrets-in-homes.ts';

let lab: Lab;
let output = '';
const secrets = new SecretsInHomes();

/** A command, whose output is kept. */
async function holdfast(name: string, args: readonly string[], input?: string | Uint8Array) {
  const result = await lab.run(name, args, input);
  output += `${result.stdout.toString('latin1')}\n${result.stderr}\n`;
  return result;
}

/** A command that shows a plaintext: its standard output, the one place for it, is returned and not searched. */
async function plaintextOf(
  name: string,
  args: readonly string[],
  input: string | Uint8Array,
): Promise<Buffer> {
  const { code, stdout, stderr } = await lab.run(name, args, input);
  output += `${stderr}\n`;
  expect(code, stderr).toBe(0);
  return stdout;
}

/** What the daemon answers, kept. */
async function asked(name: string, path: string, body?: string | Uint8Array): Promise<string> {
  const dispatcher = new Agent({ connect: { socketPath: join(lab.peer(name).home, 'api.sock') } });
  try {
    const headers = { 'content-type': 'application/json' };
    const options = body === undefined ? {} : { method: 'POST' as const, body, headers };
    const answer = await request(`http://daemon/v1/${path}`, { dispatcher, ...options });
    const text = Buffer.from(await answer.body.arrayBuffer()).toString('latin1');
    output += `${text}\n`;
    return text;
  } finally {
    await dispatcher.destroy();
  }
}

async function askEverything(name: string): Promise<void> {
  const read = ['status', 'peers', 'keys', 'epochs?limit=100', 'epochs/1', 'links?from=0', 'audit'];
  for (const path of read) await asked(name, path);
  for (const path of ['sign', 'decrypt', 'orders', 'dealings', 'founding', 'refresh'])
    for (const body of ['{"request":"AAAA"}', 'nonsense']) await asked(name, path, body);
}

/** Waits for the epoch, and steals from everybody whenever something happens meanwhile. */
const stolenUntil = (epoch: number): Promise<unknown> =>
  Promise.all(
    lab.runningNames().map((name) =>
      lab.until(name, async (api) => {
        await secrets.peer(lab, name);
        const [newest] = await api.epochs(1);
        return newest !== undefined && newest.epoch >= epoch && newest.retired ? true : null;
      }),
    ),
  );

const untilRefreshed = async (): Promise<void> => {
  const { epoch } = await lab.api('a').status();
  await lab.api('a').refresh();
  await stolenUntil((epoch ?? 0) + 1);
};

/** A plaintext, encrypted by OpenSSL to the group's key `name`. */
async function encrypted(name: string): Promise<{ plain: Buffer; ciphertext: Buffer }> {
  const plain = randomBytes(100);
  secrets.bytes('plaintext', `${secrets.kinds.get('plaintext') ?? 0}`, plain);
  const pem = join(lab.dir, `${name}.pem`);
  writeFileSync(pem, (await holdfast('a', ['key', 'public', name])).stdout);
  const oaep = ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha256', 'rsa_mgf1_md:sha256'];
  const args = ['pkeyutl', '-encrypt', '-pubin', '-inkey', pem, ...oaep.flatMap((one) => ['-pkeyopt', one])];
  return { plain, ciphertext: execFileSync('openssl', args, { input: plain }) };
}

beforeAll(async () => {
  lab = await Lab.create({ peers: 3, threshold: 2, ciphers: ['aes', 'blowfish', 'des'] });
}, 120_000);
afterAll(() => lab.close());

test('no secret of a whole run is in anything that it let out', async () => {
  for (const [key, use, first] of [
    ['ca', 'sign', 0],
    ['vault', 'decrypt', 2],
  ] as const) {
    const { p, q } = readyPrimes(2048, first);
    const primes = join(lab.dir, `${key}.primes`);
    writeFileSync(primes, JSON.stringify({ p, q }), { mode: 0o600 });
    await holdfast('a', ['key', 'create', key, '--use', use, '--primes-file', primes]);
    const [P, Q] = [BigInt(`0x${p}`), BigInt(`0x${q}`)];
    const order = (P - 1n) * (Q - 1n);
    const numbers = { p: P, q: Q, d: modInverse(65537n, order), 'half d': modInverse(65537n, order / 2n) };
    for (const [name, number] of Object.entries(numbers)) secrets.number(`key ${key}`, name, number);
  }
  await secrets.peers(lab);

  secrets.text('passphrase', lab.passphrase);
  const operatorFile = join(lab.peer('a').home, 'operator.key');
  secrets.bytes('operator key', 'a', (await openOperatorFile(operatorFile, lab.passphrase)).seed);
  const uses = ['--key', '*', '--may', 'sign,decrypt', '--open'];
  await holdfast('a', ['client', 'add', 'program', ...uses]);
  const clientFile = join(lab.peer('a').home, 'clients', 'program.key');
  secrets.bytes('client key', 'program', openKey(clientFile).seed);
  // A sealed one lets out neither its seed nor its passphrase.
  const clientPassphrase = randomBytes(16).toString('hex');
  secrets.text('passphrase of a client', clientPassphrase);
  const seals = join(lab.dir, 'client-passphrase');
  writeFileSync(seals, clientPassphrase, { mode: 0o600 });
  const sealing = ['--key', 'ca', '--may', 'sign', '--client-passphrase-file', seals];
  await holdfast('a', ['client', 'add', 'sealed', ...sealing]);
  const sealed = join(lab.peer('a').home, 'clients', 'sealed.key');
  secrets.bytes('client key', 'sealed', (await openClientKey(sealed, async () => clientPassphrase)).seed);
  await holdfast(
    'b',
    ['sign', '--key', 'ca', '--client', sealed, '--client-passphrase-file', seals],
    'message',
  );

  // A key that was somewhere else before.
  const pemPassphrase = randomBytes(16).toString('hex');
  const { privateKey: pem } = generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: pemPassphrase },
  });
  secrets.rsaKey('imported key', pem, pemPassphrase);
  secrets.text('passphrase of an imported key', pemPassphrase);
  const secretFile = (name: string, content: string): string => {
    const path = join(lab.dir, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  const importing = ['key', 'import', 'old', '--use', 'sign', '--pem', secretFile('old.pem', pem)];
  const wrong = ['--pem-passphrase-file', secretFile('wrong', 'not this one')];
  const right = ['--pem-passphrase-file', secretFile('right', pemPassphrase)];
  expect((await holdfast('a', [...importing, ...wrong])).code).toBe(3);
  const [imported] = await Promise.all([
    holdfast('a', [...importing, ...right]),
    stolenUntil(((await lab.api('a').status()).epoch ?? 0) + 1),
  ]);
  expect(imported.code, imported.stderr).toBe(0);

  // Used, refreshed, refused.
  const client = ['--client', clientFile];
  await holdfast('b', ['sign', '--key', 'ca', ...client], 'message');
  await untilRefreshed();
  await holdfast('a', ['sign', '--key', 'vault', ...client], 'message');
  await holdfast('a', ['sign', '--key', 'nothing', ...client], 'message');
  await holdfast('a', ['decrypt', '--key', 'vault', ...client], Buffer.alloc(256, 1));
  await holdfast('a', ['client', 'add', 'reader', '--key', 'vault', '--may', 'decrypt', '--open']);
  const reader = join(lab.peer('a').home, 'clients', 'reader.key');
  secrets.bytes('client key', 'reader', openKey(reader).seed);
  await holdfast('b', ['sign', '--key', 'ca', '--client', reader], 'message');

  // Decrypted: by one command, and by two with the API between them.
  const first = await encrypted('vault');
  expect(await plaintextOf('b', ['decrypt', '--key', 'vault', ...client], first.ciphertext)).toEqual(
    first.plain,
  );
  const second = await encrypted('vault');
  const oneTimeFile = join(lab.dir, 'one-time-key');
  const asking = ['client', 'sign-request', '--key', 'vault', '--decrypt', oneTimeFile, ...client];
  const made = await holdfast('b', asking, second.ciphertext);
  const saved: { secretKey: string } = JSON.parse(readFileSync(oneTimeFile, 'utf8'));
  secrets.bytes('one-time key of a decryption', 'program', fromHex(saved.secretKey));
  const answer = await asked('c', 'decrypt', made.stdout);
  expect(await plaintextOf('b', ['client', 'open', '--secret', oneTimeFile], answer)).toEqual(second.plain);

  // Killed, brought back by recovery, joined.
  await lab.kill('c');
  await lab.start('c');
  const newcomer = await lab.join('d');
  secrets.firstEpochKey(newcomer.home, 'd');
  await newcomer.start();
  await lab.admit(['d']);
  await lab.until('d', async (api) => ((await api.status()).shareEpochs.length > 0 ? true : null));
  await untilRefreshed();

  // A bug and an abort, with the report that Node writes about them.
  const bug = join(lab.dir, 'bug.mjs');
  writeFileSync(bug, "process.on('SIGUSR2', () => { throw new Error('a bug'); });\n");
  for (const [name, signal] of [
    ['b', 'SIGUSR2'],
    ['d', 'SIGABRT'],
  ] as const) {
    await lab.peer(name).stop();
    const report = `--report-uncaught-exception --report-on-fatalerror --report-directory=${lab.dir}`;
    await lab.peer(name).start({ NODE_OPTIONS: `--import ${bug} ${report}` });
    process.kill(lab.peer(name).pid ?? 0, signal);
    await lab.peer(name).ended();
    await lab.start(name);
  }
  await untilRefreshed();
  // Some secrets are in a store for a moment of a change only: stolen in so many that each kind is among them.
  const missing = () => kindsInStores.some((kind) => !secrets.kinds.has(kind));
  for (let change = 0; change < 20 && missing(); change += 1) await untilRefreshed();
  for (const name of lab.names) {
    await askEverything(name);
    for (const args of [['status'], ['epochs', '--json'], ['doctor'], ['audit', '--json'], ['peers']])
      await holdfast(name, args);
  }

  const files = readdirSync(lab.dir).filter((name) => /\.log$|^report.*\.json$/.test(name));
  expect(files.some((name) => name.startsWith('report'))).toBe(true);
  const audits = lab.names.flatMap((name) =>
    readdirSync(join(lab.peer(name).home, 'audit')).map((file) => join(name, 'audit', file)),
  );
  output += [...files, ...audits].map((name) => readFileSync(join(lab.dir, name), 'latin1')).join('\n');

  // The search sees what is there: rules of debug logs, the bug, refusals in audit logs, and answers.
  for (const there of [
    '"rule":"adopt"',
    'a bug',
    '"event":"partial"',
    '"outcome":"refused"',
    'verificationKeys',
  ])
    expect(output).toContain(there);
  for (const kind of [
    ...kindsInStores,
    ...['first epoch key', 'plaintext', 'imported key', 'one-time key of a decryption'],
  ])
    expect(secrets.kinds.get(kind) ?? 0, kind).toBeGreaterThan(0);
  const needles = secrets.needles();
  expect(foundIn(output, needles)).toEqual([]);
  const counts = [...secrets.kinds].map(([kind, count]) => `${kind} ${count}`).join(', ');
  process.stdout.write(
    `searched ${output.length} bytes for ${needles.length} forms of these secrets: ${counts}\n`,
  );
  // And it would have found each.
  const [beginning, end] = [output.slice(0, 100), output.slice(-100)];
  for (const needle of needles) expect(foundIn(`${beginning}${needle.text}${end}`, [needle])).toHaveLength(1);
});
