/**
 * A signer over several daemons of a group that signs and decrypts for real: it takes true answers only, asks
 * the next daemon where that can help, and says why nothing came of it.
 */
import { execFileSync } from 'node:child_process';
import { constants, createHash, createPublicKey, publicEncrypt, randomBytes, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { connectApi } from '../../src/client/api-client.ts';
import { newClientFile, openClientFile } from '../../src/client/client-file.ts';
import { Daemons, type Notice } from '../../src/client/daemons.ts';
import { connectSigner, GroupSigner } from '../../src/client/group-signer.ts';
import type { Signer, SignerKey } from '../../src/client/signer.ts';
import { newSigningKey, type SigningKey } from '../../src/client/signing-key.ts';
import { rsaSignature } from '../../src/keys/rsa/operations.ts';
import { DaemonError } from '../../src/node/errors.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import type { UseRequest } from '../../src/protocol/records/use-request.ts';
import { Bench } from '../cli/holdfast.ts';
import type { ServedGroup } from '../support/served-group.ts';
import { Doors } from './doors.ts';

const message = Buffer.from('what is signed');
const digest = new Uint8Array(createHash('sha256').update(message).digest());
const label = new Uint8Array(Buffer.from('tape 7'));
/** The daemon that was asked, and whichever other member it turned to. */
const twoHolders = ['a', expect.stringMatching(/^[bc]$/)];

describe('a signer', () => {
  const bench = new Bench();
  let group: ServedGroup;
  let client: SigningKey;
  let doors: Doors;
  let ca: SignerKey;
  let vault: SignerKey;
  const notices: Notice[] = [];
  const closing: Array<() => Promise<void>> = [];

  beforeAll(async () => {
    await bench.init();
    group = await bench.serve(['b', 'c']);
    const results = await bench.runMany([
      ['admit', 'b', 'c', '--yes', group.fingerprint('b'), group.fingerprint('c')],
      ['key', 'create', 'ca', '--use', 'sign', '--primes-file', bench.primes()],
      ['key', 'create', 'vault', '--use', 'decrypt', '--primes-file', bench.primes(2)],
      ['client', 'add', 'program', '--key', '*', '--may', 'sign,decrypt', '--open'],
    ]);
    for (const { code, stderr } of results) expect(code, stderr).toBe(0);
    const file = bench.path('A/clients/program.key');
    client = await openClientFile(file, readFileSync(file, 'utf8'), async () => '');
    [ca, vault] = (await signerAt([group.home.socketFile]).keys()) as [SignerKey, SignerKey];
  });
  beforeEach(() => {
    doors = new Doors(bench.dir, group);
  });
  afterEach(async () => {
    for (const close of closing.splice(0)) await close();
    await doors.close();
    notices.length = 0;
    await group.wake();
  });
  afterAll(() => bench.close());

  function signerAt(addresses: readonly string[], as = client): Signer {
    const { signer, close } = connectSigner({
      ...{ addresses, client: as, timeoutMs: 2000 },
      onNotice: (notice) => notices.push(notice),
    });
    closing.push(close);
    return signer;
  }
  const signatureOf = (asked: Parameters<typeof rsaSignature>[0]) => rsaSignature(asked, randomBytes);
  const sign = (signer: Signer) =>
    signer.sign({ key: ca, asked: signatureOf({ scheme: 'pkcs1', hash: 'sha256', digest }) });
  const decrypt = (signer: Signer, ciphertext = encrypted()) =>
    signer.decrypt({ key: vault, asked: { ciphertext }, padding: { hash: 'sha256', label } });
  const encrypted = (): Uint8Array =>
    new Uint8Array(publicEncrypt({ key: vault.pem, oaepHash: 'sha256', oaepLabel: label }, message));
  /** Which daemons were passed over, and why. */
  const passedOver = () =>
    notices.map((notice) => (notice.type === 'next-daemon' ? [notice.daemon, notice.why.code] : notice));

  test('lists the keys, signs with every scheme and hash, and decrypts', async () => {
    const signer = signerAt([await doors.open()]);
    expect((await signer.keys()).map(({ name, use, bits }) => [name, use, bits])).toEqual([
      ['ca', 'sign', 2048],
      ['vault', 'decrypt', 2048],
    ]);
    const key = createPublicKey(ca.pem);
    for (const scheme of ['pkcs1', 'pss'] as const)
      for (const hash of ['sha256', 'sha512'] as const) {
        const asked = { scheme, hash, digest: new Uint8Array(createHash(hash).update(message).digest()) };
        const { signature, signers, epoch } = await signer.sign({ key: ca, asked: signatureOf(asked) });
        const padding = scheme === 'pss' ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
        expect(verify(hash, message, { key, padding }, signature)).toBe(true);
        expect([signers.toSorted(), epoch]).toEqual([twoHolders, group.head.epoch]);
      }
    const { plaintext, holders } = await decrypt(signer);
    expect([Buffer.from(plaintext), holders.toSorted()]).toEqual([message, twoHolders]);
    expect(notices).toEqual([]);
  });

  test('asks the next daemon where one is gone, and stays with the one that answered', async () => {
    const [gone, there] = [doors.gone(), await doors.open()];
    const signer = signerAt([gone, there]);
    await sign(signer);
    expect(passedOver()).toEqual([[gone, 'unreachable']]);
    await sign(signer);
    await decrypt(signer);
    expect(notices).toHaveLength(1);
  });

  test('asks the next daemon where one says nothing', async () => {
    const silent = await doors.silent();
    const connections = [silent, await doors.open()].map(connectApi);
    closing.push(...connections.map(({ close }) => close));
    const onNotice = (notice: Notice) => void notices.push(notice);
    const daemons = new Daemons({ daemons: connections, cluster: null, patienceMs: 50, onNotice });
    await sign(new GroupSigner({ daemons, client, timeoutMs: 50 }));
    expect(passedOver()[0]).toEqual([silent, 'unavailable']);
  });

  test('asks the next daemon where one is no member, is overloaded, or finds too few members', async () => {
    const failing = (code: DaemonError['code']) => () =>
      Promise.reject(new DaemonError(code, 'as it is here'));
    const codes = ['not-a-member', 'unwritable', 'not-enough-peers'] as const;
    const bad = await Promise.all(codes.map((code) => doors.open({ sign: failing(code) })));
    await sign(signerAt([...bad, await doors.open()]));
    expect(passedOver()).toEqual([
      [bad[0], 'not-a-member'],
      [bad[1], 'unavailable'],
      [bad[2], 'not-enough-peers'],
    ]);
  });

  test('asks the next daemon where the certificate of one is not trusted', async () => {
    const files = ['-keyout', bench.path('tls.key'), '-out', bench.path('tls.crt'), '-days', '2', '-noenc'];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-subj', '/CN=holdfast'];
    execFileSync('openssl', ['req', '-x509', ...kind, ...files], { stdio: 'ignore' });
    const text = (name: string): string => readFileSync(bench.path(name), 'utf8');
    const tls = { cert: text('tls.crt'), key: text('tls.key') };
    const door = { host: '127.0.0.1', port: 0 };
    const stranger = await doors.open({}, { ...door, tls });
    const signer = signerAt([stranger, await doors.open({}, { ...door, tls: undefined })]);
    expect(stranger).toMatch(/^https:/);
    await sign(signer);
    expect(passedOver()[0]).toEqual([stranger, 'not-to-be-trusted']);
  });

  test('gives each daemon a request of its own', async () => {
    const asked: UseRequest[] = [];
    const lies = {
      sign: async (request: UseRequest) => {
        asked.push(request);
        throw new DaemonError('not-a-member', 'evicted meanwhile');
      },
      decrypt: async (request: UseRequest) => {
        asked.push(request);
        throw new DaemonError('not-a-member', 'evicted meanwhile');
      },
    };
    const signer = signerAt([await doors.open(lies), await doors.open(lies)]);
    await expect(sign(signer)).rejects.toMatchObject({ code: 'not-a-member' });
    await expect(decrypt(signer)).rejects.toMatchObject({ code: 'not-a-member' });
    expect(new Set(asked.map(({ body }) => hex(body.nonce))).size).toBe(4);
    const sealingKeys = asked.flatMap(({ body }) =>
      body.operation === 'decrypt' ? [hex(body.sealingKey)] : [],
    );
    expect(new Set(sealingKeys).size).toBe(2);
  });

  test('returns no false signature: it asks the next daemon, and rejects where there is none', async () => {
    const liar = await doors.open({
      sign: async (request) => {
        const answer = await group.sign(request);
        const signature = Uint8Array.from(answer.signature, (byte, at) => (at === 9 ? byte ^ 1 : byte));
        return { ...answer, signature };
      },
    });
    await sign(signerAt([liar, await doors.open()]));
    expect(passedOver()).toEqual([[liar, 'false-signature']]);
    await expect(sign(signerAt([liar]))).rejects.toMatchObject({
      name: 'ClientError',
      code: 'false-signature',
      message: 'the daemon returned a signature that is not valid; ask another peer',
    });
  });

  test('takes no key that does not fit its id, under whichever name', async () => {
    const keys = () => {
      const [one, other] = group.keys();
      return one === undefined || other === undefined ? [] : [{ ...one, public: other.public }, other];
    };
    const liar = await doors.open({ keys });
    expect(await signerAt([liar, await doors.open()]).keys()).toHaveLength(2);
    expect(passedOver()).toEqual([[liar, 'not-to-be-trusted']]);
    await expect(signerAt([liar]).keys()).rejects.toMatchObject({
      code: 'not-to-be-trusted',
      message: 'what the daemon says of key ca does not fit its id; ask another peer',
    });
    const unreadable = await doors.open({
      keys: () => group.keys().map((key) => ({ ...key, public: `${key.public}zz` })),
    });
    await expect(signerAt([unreadable]).keys()).rejects.toMatchObject({ code: 'not-to-be-trusted' });
  });

  test('asks nobody else what the rules forbid, and names the rule', async () => {
    let asked = 0;
    const sign2 = async (request: Parameters<ServedGroup['sign']>[0]) => {
      asked += 1;
      return group.sign(request);
    };
    const signer = signerAt([await doors.open(), await doors.open({ sign: sign2 })], newSigningKey());
    await expect(sign(signer)).rejects.toMatchObject({ code: 'refused', rule: 'unknown-client' });
    expect(asked).toBe(0);
  });

  test('says who was missing and what to do, and of several daemons what each said', async () => {
    await group.silence('b', 'c');
    await expect(sign(signerAt([await doors.open()]))).rejects.toMatchObject({
      code: 'not-enough-peers',
      message: '1 of the 2 peers needed answered; missing: b (silent), c (silent); start them and sign again',
    });
    const [gone, there] = [doors.gone(), await doors.open()];
    const error = await sign(signerAt([gone, there])).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'not-enough-peers', cause: { errors: [{}, {}] } });
    expect(String(error)).toMatch(/none of 2 daemons gave an answer: .* \| /);
    expect(String(error)).toContain(`${gone}: the daemon is not running`);
    expect(String(error)).toContain(`${there}: 1 of the 2 peers needed answered`);
  });

  test('tells a mistake of the caller without asking anybody', async () => {
    const signer = signerAt([doors.gone()]);
    const asked = { key: ca, asked: signatureOf({ scheme: 'pkcs1', hash: 'sha512', digest }) };
    await expect(signer.sign(asked)).rejects.toMatchObject({
      code: 'wrong-input',
      message: 'a sha512 digest has 64 bytes, and this has 32',
    });
    await expect(signer.sign({ ...asked, key: vault })).rejects.toMatchObject({ code: 'wrong-input' });
    await expect(decrypt(signer, new Uint8Array(12))).rejects.toMatchObject({
      code: 'wrong-input',
      message: expect.stringContaining('a ciphertext for this key has 256 bytes, and this has 12'),
    });
  });

  test('decrypts in spite of a false partial, and names whose it was', async () => {
    const liar = await doors.open({
      decrypt: async (request, { prove }) => {
        const { partials, ...answer } = await group.decrypt(request, { prove, timeoutMs: 2000 });
        const changed = partials.map((one) =>
          one.name === 'a'
            ? { ...one, envelope: one.envelope.map((byte, at) => (at === 40 ? byte ^ 1 : byte)) }
            : one,
        );
        return { ...answer, partials: changed };
      },
    });
    const { plaintext, holders } = await decrypt(signerAt([liar]));
    expect([Buffer.from(plaintext), holders.toSorted()]).toEqual([message, ['b', 'c']]);
    expect(notices).toEqual([{ type: 'asking-for-proofs' }, { type: 'false-partials', members: ['a'] }]);
  });

  test('takes no plaintext under another key than was asked', async () => {
    const liar = await doors.open({
      decrypt: async (request) => {
        const answer = await group.decrypt(request);
        const other = group.head.keys.find(({ name }) => name === 'ca');
        return { ...answer, key: { ...answer.key, ...other, id: answer.key.id } };
      },
    });
    const { plaintext } = await decrypt(signerAt([liar, await doors.open()]));
    expect(Buffer.from(plaintext)).toEqual(message);
    expect(passedOver()).toEqual([[liar, 'not-to-be-trusted']]);
  });

  test('says that something was encrypted in another way, whatever the defect', async () => {
    const signer = signerAt([await doors.open()]);
    const padding = { hash: 'sha256', label: new Uint8Array() };
    const asked = { ciphertext: encrypted() };
    await expect(signer.decrypt({ key: vault, asked, padding })).rejects.toMatchObject({
      code: 'not-decryptable',
      message:
        'this was not encrypted to vault: the decrypted block is not an OAEP block for this hash and label',
    });
  });

  test('asks as a client whose key a passphrase seals', async () => {
    const { text } = await newClientFile({ name: 'ci', order: 1, passphrase: 'right', log2N: 10 });
    await expect(openClientFile('ci.key', text, async () => 'wrong')).rejects.toMatchObject({
      code: 'wrong-passphrase',
      message: 'the passphrase does not open ci.key; try again with the right one',
    });
    const sealed = await openClientFile('ci.key', text, async () => 'right');
    await expect(sign(signerAt([await doors.open()], sealed))).rejects.toMatchObject({
      rule: 'unknown-client',
    });
    await expect(openClientFile('ci.key', '{}', async () => '')).rejects.toMatchObject({ code: 'bad-file' });
  });
});
