/** What the multi-process tests share: ready-made primes, signing as a client program does, and a look into the homes. */
import { execFileSync } from 'node:child_process';
import { createHash, createPublicKey, type KeyObject, randomBytes, verify } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openClientFile } from '../../src/cli/key-files.ts';
import type { Lab, SafePrimes } from '../../src/lab/lab.ts';
import type { EpochView, SignAnswer } from '../../src/node/view.ts';
import { fromHex } from '../../src/protocol/codec.ts';
import { signUse } from '../../src/protocol/use-request.ts';
import { stolenShares as sharesInHome } from '../support/stolen-shares.ts';

const fixture: Record<string, string[]> = JSON.parse(
  readFileSync(new URL('../fixtures/safe-primes.json', import.meta.url), 'utf8'),
);

/** No test searches for primes. */
export function readyPrimes(modulusBits: 2048 | 3072): SafePrimes {
  const [p = '', q = ''] = fixture[modulusBits / 2] ?? [];
  return { p, q };
}

/** The operator's client, as a program that talks to daemons over their sockets. */
export class Client {
  readonly publicKey: KeyObject;
  readonly pem: string;
  private readonly lab: Lab;
  private readonly keyId: Uint8Array;
  private readonly cluster: Uint8Array;

  private constructor(lab: Lab, pem: string, ids: { key: string; cluster: string }) {
    this.lab = lab;
    this.pem = pem;
    this.publicKey = createPublicKey(pem);
    this.keyId = fromHex(ids.key);
    this.cluster = fromHex(ids.cluster);
  }

  static async of(lab: Lab, key: string): Promise<Client> {
    const [first = ''] = lab.names;
    const pem = (await lab.must(first, ['key', 'public', key])).toString('utf8');
    const listed = (await lab.api(first).keys()).find(({ name }) => name === key);
    const { cluster } = await lab.api(first).status();
    return new Client(lab, pem, { key: listed?.id ?? '', cluster });
  }

  /** A PKCS#1 signature, asked for at `name`; rejects with `ApiError`. */
  sign(name: string, data: string, timeoutMs = 60_000): Promise<SignAnswer> {
    const [first = ''] = this.lab.names;
    const { seed, publicKey } = openClientFile(join(this.lab.peer(first).home, 'clients', 'operator.key'));
    const request = signUse(seed, {
      cluster: this.cluster,
      client: publicKey,
      key: this.keyId,
      operation: 'sign',
      scheme: 'pkcs1',
      hash: 'sha256',
      digest: new Uint8Array(createHash('sha256').update(data).digest()),
      salt: new Uint8Array(),
      nonce: new Uint8Array(randomBytes(16)),
      expiresAtMs: Date.now() + 2 * 60_000,
    });
    return this.lab.api(name).sign(request, timeoutMs);
  }

  accepts(data: string, signature: Uint8Array): boolean {
    return verify('sha256', Buffer.from(data), this.publicKey, signature);
  }

  /** OpenSSL's verdict, as its command line prints it. */
  opensslVerdict(data: string, signature: Uint8Array, options: readonly string[] = []): string {
    const file = (name: string, content: string | Uint8Array): string => {
      const path = join(this.lab.dir, name);
      writeFileSync(path, content);
      return path;
    };
    const pem = file('public.pem', this.pem);
    const args = ['dgst', '-sha256', '-verify', pem, '-signature', file('signature', signature)];
    return execFileSync('openssl', [...args, ...options, file('signed', data)], { encoding: 'utf8' }).trim();
  }
}

/** Asks for a refresh at `name` and waits until every running peer has erased the older shares. */
export async function refresh(lab: Lab, name: string): Promise<EpochView> {
  const { epoch } = await lab.api(name).status();
  const next = (epoch ?? 0) + 1;
  await lab.api(name).refresh();
  await lab.untilEpoch(next);
  return lab.api(name).epoch(next);
}

/** Starts peers again, and waits until the others have told them what they had signed (§4): they take part fully. */
export async function startAndRecall(lab: Lab, names: readonly string[]): Promise<void> {
  await Promise.all(names.map(lab.start));
  await Promise.all(
    names.map((name) =>
      lab.until(name, async (api) => {
        const { problems } = await api.status();
        return problems.some(({ code }) => code === 'recalling') ? null : true;
      }),
    ),
  );
}

/** Waits until a peer's status names the problem in words like these; what it says. */
export const untilProblem = (lab: Lab, name: string, code: string, words: RegExp): Promise<string> =>
  lab.until(name, async (api) => {
    const { problems } = await api.status();
    return problems.find((problem) => problem.code === code && words.test(problem.what))?.what ?? null;
  });

/** Every member's verification key, as hashes. */
export const hashesOf = (epoch: EpochView): string[] => epoch.verificationKeys.map(({ hash }) => hash);

/** Hashes of every sealed file in a peer's home. An empty journal holds no record. */
export function sealedFiles(home: string): Set<string> {
  const vault = join(home, 'store', 'vault');
  const contents = readdirSync(vault).map((name) => readFileSync(join(vault, name)));
  return new Set(
    contents
      .filter((content) => content.length > 0)
      .map((content) => createHash('sha256').update(content).digest('hex')),
  );
}

/** What a thief of a peer's folder finds: all shares of one key in a copy of its store, by epoch. */
export const stolenShares = (lab: Lab, name: string, keyId: Uint8Array): Promise<Map<number, bigint>> =>
  sharesInHome(lab.peer(name).home, keyId);

/** All subsets of `size` elements. */
export function subsets<T>(elements: readonly T[], size: number): T[][] {
  if (size === 0) return [[]];
  return elements.flatMap((element, at) =>
    subsets(elements.slice(at + 1), size - 1).map((rest) => [element, ...rest]),
  );
}
