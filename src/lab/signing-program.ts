/** A program of a lab that has messages signed: it talks to daemons over their sockets, with the key of one client. */
import { execFileSync } from 'node:child_process';
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseClientFile } from '../client/client-file.ts';
import { newSignRequest, requestLifetimeMs } from '../client/signed-request.ts';
import type { SigningKey } from '../client/signing-key.ts';
import { readPrivateFile } from '../node/home/home.ts';
import type { SignAnswer } from '../node/use/answers.ts';
import { fromHex } from '../protocol/records/codec.ts';
import type { SignBody, UseRequest } from '../protocol/records/use-request.ts';
import type { Lab } from './lab.ts';

/** The key of a client that was made without a passphrase. */
export function openKey(file: string): SigningKey {
  const { publicKey, secret } = parseClientFile(file, Buffer.from(readPrivateFile(file)).toString('utf8'));
  if ('sealed' in secret) throw new Error(`${file} is sealed with a passphrase`);
  return { publicKey, seed: secret.seed };
}

interface KeyIds {
  key: Uint8Array;
  cluster: Uint8Array;
}

export class SigningProgram {
  readonly publicKey: KeyObject;
  readonly pem: string;
  readonly #lab: Lab;
  readonly #key: SigningKey;
  readonly #ids: KeyIds;

  private constructor(lab: Lab, pem: string, key: SigningKey, ids: KeyIds) {
    this.#lab = lab;
    this.pem = pem;
    this.publicKey = createPublicKey(pem);
    this.#key = key;
    this.#ids = ids;
  }

  /** The client that was made with the key of this name. */
  static async of(lab: Lab, keyName: string): Promise<SigningProgram> {
    const [first = ''] = lab.names;
    const pem = (await lab.must(first, ['key', 'public', keyName])).toString('utf8');
    const id = (await lab.api(first).keys()).find(({ name }) => name === keyName)?.id ?? '';
    const { cluster } = await lab.api(first).status();
    const key = openKey(lab.clientFile(keyName));
    return new SigningProgram(lab, pem, key, { key: fromHex(id), cluster: fromHex(cluster) });
  }

  /** A request for a PKCS#1 signature, good for any daemon and for asking again. */
  request(data: string): UseRequest<SignBody> {
    return newSignRequest({
      ...{ ...this.#ids, client: this.#key, scheme: 'pkcs1', hash: 'sha256' },
      digest: new Uint8Array(createHash('sha256').update(data).digest()),
      expiresAtMs: Date.now() + requestLifetimeMs,
    });
  }

  /** A PKCS#1 signature, asked for at `name`; rejects with `ApiError`. */
  sign(name: string, data: string, timeoutMs = 60_000): Promise<SignAnswer> {
    return this.#lab.api(name).sign(this.request(data), timeoutMs);
  }

  accepts(data: string, signature: Uint8Array): boolean {
    return verify('sha256', Buffer.from(data), this.publicKey, signature);
  }

  /** OpenSSL's verdict, as its command line prints it; throws when that is not there, or says no. */
  opensslVerdict(data: string, signature: Uint8Array, options: readonly string[] = []): string {
    const file = (name: string, content: string | Uint8Array): string => {
      const path = join(this.#lab.dir, name);
      writeFileSync(path, content);
      return path;
    };
    const pem = file('public.pem', this.pem);
    const args = ['dgst', '-sha256', '-verify', pem, '-signature', file('signature', signature)];
    return execFileSync('openssl', [...args, ...options, file('signed', data)], { encoding: 'utf8' }).trim();
  }
}
