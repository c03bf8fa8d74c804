/**
 * A program that has messages signed. It talks to the daemons of a lab over their sockets, with the key of
 * one client.
 */
import { execFileSync } from 'node:child_process';
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseClientFile } from '../client/client-file.ts';
import { Daemons, type Notice } from '../client/daemons.ts';
import { GroupSigner } from '../client/group-signer.ts';
import { newSignRequest, requestLifetimeMs } from '../client/signed-request.ts';
import type { Signed, SignerKey } from '../client/signer.ts';
import type { SigningKey } from '../client/signing-key.ts';
import { rsaSignature } from '../keys/rsa/operations.ts';
import { readPrivateFile } from '../node/home/home.ts';
import type { SignBody, UseRequest } from '../protocol/records/use-request.ts';
import type { Lab } from './lab.ts';

const sha256 = (data: string): Uint8Array => new Uint8Array(createHash('sha256').update(data).digest());

/** What a request for a PKCS#1 signature of a message asks. */
export const pkcs1Of = (message: string) =>
  rsaSignature(
    { scheme: 'pkcs1', hash: 'sha256', digest: sha256(message) },
    (length) => new Uint8Array(length),
  );

/** The key in a client's file without a passphrase. Throws for a sealed file. */
export function openKey(file: string): SigningKey {
  const { publicKey, secret } = parseClientFile(file, Buffer.from(readPrivateFile(file)).toString('utf8'));
  if ('sealed' in secret) throw new Error(`${file} is sealed with a passphrase`);
  return { publicKey, seed: secret.seed };
}

interface ProgramKeys {
  /** The key of the client as which the program asks. */
  client: SigningKey;
  cluster: Uint8Array;
  key: SignerKey;
}

/** One program, with one key of the group and one client. */
export class SigningProgram {
  readonly publicKey: KeyObject;
  readonly pem: string;
  readonly #lab: Lab;
  readonly #keys: ProgramKeys;

  private constructor(lab: Lab, pem: string, keys: ProgramKeys) {
    this.#lab = lab;
    this.pem = pem;
    this.publicKey = createPublicKey(pem);
    this.#keys = keys;
  }

  /** A program that uses the key of this name, as the client that was made with the key. */
  static async of(lab: Lab, keyName: string): Promise<SigningProgram> {
    const [first = ''] = lab.names;
    const pem = (await lab.must(first, ['key', 'public', keyName])).toString('utf8');
    const daemons = new Daemons({ daemons: [lab.api(first)], cluster: null });
    const key = await daemons.key(keyName, 'sign');
    const client = openKey(lab.clientFile(keyName));
    return new SigningProgram(lab, pem, { client, cluster: await daemons.cluster(), key });
  }

  /** A request for a PKCS#1 signature. Any daemon takes it, and takes it again, until it expires. */
  request(data: string): UseRequest<SignBody> {
    const { client, cluster, key } = this.#keys;
    const { id, kind } = key;
    const expiresAtMs = Date.now() + requestLifetimeMs;
    return newSignRequest({ client, cluster, key: id, kind, asked: pkcs1Of(data), expiresAtMs });
  }

  /**
   * A PKCS#1 signature. The program asks these peers one after the other, until one answers. Rejects with
   * `ClientError`.
   */
  sign(
    names: string | readonly string[],
    data: string,
    { timeoutMs = 60_000, onNotice }: { timeoutMs?: number; onNotice?: (notice: Notice) => void } = {},
  ): Promise<Signed> {
    const { client, cluster, key } = this.#keys;
    const connections = [names].flat().map((name) => this.#lab.api(name));
    const daemons = new Daemons({ daemons: connections, cluster, onNotice });
    const signer = new GroupSigner({ daemons, client, timeoutMs });
    return signer.sign({ key, asked: pkcs1Of(data) });
  }

  /** Whether the PKCS#1 signature is true, as Node's crypto says. */
  accepts(data: string, signature: Uint8Array): boolean {
    return verify('sha256', Buffer.from(data), this.publicKey, signature);
  }

  /** OpenSSL's verdict, as its command line prints it. Throws when OpenSSL is not installed, or says no. */
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
