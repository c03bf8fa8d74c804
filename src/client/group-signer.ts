/**
 * Keys that a group keeps, used as one of its clients, by way of any daemon. It believes no daemon: a signature is
 * verified here, and a plaintext is put together here and nowhere else.
 */
import { digestBytes } from '../keys/rsa/encoding.ts';
import { verifySignature } from '../keys/rsa/public-forms.ts';
import { type ApiClient, connectApi } from './api-client.ts';
import { ClientError } from './client-error.ts';
import { checkUse, Daemons, type Notice } from './daemons.ts';
import { Decryption, unpadded } from './decryption.ts';
import { newSignRequest, requestLifetimeMs } from './signed-request.ts';
import type { DecryptAsked, Decrypted, SignAsked, Signed, Signer, SignerKey } from './signer.ts';
import type { SigningKey } from './signing-key.ts';

/** How long each daemon is told to wait for enough members, unless the caller says otherwise. */
export const standardTimeoutMs = 8000;

export class GroupSigner implements Signer {
  readonly #daemons: Daemons;
  readonly #client: SigningKey;
  readonly #timeoutMs: number;

  /** @param options.client opened; its seed stays the caller's to erase, once nothing more is asked for */
  constructor(options: { daemons: Daemons; client: SigningKey; timeoutMs?: number }) {
    this.#daemons = options.daemons;
    this.#client = options.client;
    this.#timeoutMs = options.timeoutMs ?? standardTimeoutMs;
  }

  keys(): Promise<SignerKey[]> {
    return this.#daemons.keys();
  }

  async sign({ key, scheme, hash, digest }: SignAsked): Promise<Signed> {
    checkUse(key, 'sign');
    if (digest.length !== digestBytes[hash])
      throw new ClientError(
        'wrong-input',
        `a ${hash} digest has ${digestBytes[hash]} bytes, and this has ${digest.length}`,
      );
    const cluster = await this.#daemons.cluster();
    return this.#daemons.ask(async (daemon) => {
      const expiresAtMs = Date.now() + requestLifetimeMs;
      const asked = { client: this.#client, cluster, key: key.id, expiresAtMs };
      const request = newSignRequest({ ...asked, scheme, hash, digest });
      const answer = await daemon.sign(request, this.#timeoutMs);
      const { signature } = answer;
      if (!verifySignature({ key: key.publicKey, scheme, hash, signed: { digest }, signature }))
        throw new ClientError(
          'false-signature',
          'the daemon returned a signature that is not valid; ask another peer',
        );
      return answer;
    }, 'sign again');
  }

  async decrypt({ key, ciphertext, hash, label }: DecryptAsked): Promise<Decrypted> {
    checkDecryptable(key, ciphertext);
    const cluster = await this.#daemons.cluster();
    const { block, ...made } = await this.#daemons.ask(async (daemon) => {
      const expiresAtMs = Date.now() + requestLifetimeMs;
      const asked = { client: this.#client, cluster, key: key.id, publicKey: key.publicKey, expiresAtMs };
      const decryption = Decryption.ask({ ...asked, ciphertext });
      try {
        return await this.#blockFrom(daemon, decryption);
      } finally {
        decryption.forget();
      }
    }, 'decrypt again');
    return { ...made, plaintext: plaintextIn(block, key, { hash, label }) };
  }

  /**
   * First any `k` partials; only when they do not combine, those of everybody with proofs, which name who lied.
   * The daemon waits for the slow only a moment: asked once more, they have their answer ready.
   */
  async #blockFrom(
    daemon: ApiClient,
    decryption: Decryption,
  ): Promise<{ block: bigint; epoch: number; holders: string[] }> {
    const endMs = performance.now() + this.#timeoutMs;
    let answered = 0;
    for (let prove = false; ; prove = true) {
      const leftMs = Math.max(1, Math.round(endMs - performance.now()));
      const answer = await daemon.decrypt(decryption.request, { prove, timeoutMs: leftMs });
      const { epoch, threshold, partials } = answer;
      const { block, culprits, refuted } = decryption.combine(answer);
      if (block !== null) {
        this.#tellOfLiars([...culprits, ...refuted]);
        const proven = partials.map(({ name }) => name).filter((name) => !culprits.includes(name));
        return { block, epoch, holders: proven.slice(0, threshold) };
      }
      if (!prove) {
        this.#daemons.onNotice({ type: 'asking-for-proofs' });
        continue;
      }
      if (partials.length <= answered || performance.now() >= endMs) {
        this.#tellOfLiars(culprits);
        const who = culprits.length === 0 ? '' : ` (false: ${culprits.join(', ')})`;
        throw new ClientError(
          'not-enough-peers',
          `too few of the peers that answered gave a true partial${who}; start more peers and decrypt again`,
        );
      }
      answered = partials.length;
    }
  }

  #tellOfLiars(names: readonly string[]): void {
    const members = [...new Set(names)];
    if (members.length > 0) this.#daemons.onNotice({ type: 'false-partials', members });
  }
}

/**
 * A signer over connections of its own. Nothing is asked before the first call.
 * @param options.addresses at least one: paths of sockets, or URLs of APIs on TCP
 */
export function connectSigner(options: {
  addresses: readonly string[];
  client: SigningKey;
  cluster?: Uint8Array | null;
  timeoutMs?: number;
  onNotice?: (notice: Notice) => void;
}): { signer: GroupSigner; close: () => Promise<void> } {
  const { addresses, cluster = null, onNotice, ...rest } = options;
  const connections = addresses.map((address) => connectApi(address));
  const daemons = new Daemons({ daemons: connections, cluster, onNotice });
  const close = async (): Promise<void> =>
    void (await Promise.all(connections.map((connection) => connection.close())));
  return { signer: new GroupSigner({ daemons, ...rest }), close };
}

/** Throws `ClientError('wrong-input')` for what no group could decrypt with this key. */
export function checkDecryptable(key: SignerKey, ciphertext: Uint8Array): void {
  checkUse(key, 'decrypt');
  const modulusBytes = Math.ceil(key.bits / 8);
  if (ciphertext.length !== modulusBytes)
    throw new ClientError(
      'wrong-input',
      `a ciphertext for ${key.name} has ${modulusBytes} bytes, and this has ${ciphertext.length}; larger data goes under a key of its own, and that key under this one`,
    );
}

/** Throws `ClientError('not-decryptable')` for any defect of the padding: which one must not show. */
export function plaintextIn(
  block: bigint,
  { name, publicKey }: Pick<SignerKey, 'name' | 'publicKey'>,
  padding: Pick<DecryptAsked, 'hash' | 'label'>,
): Uint8Array {
  const plaintext = unpadded(block, publicKey.modulus, padding);
  if (plaintext !== null) return plaintext;
  throw new ClientError(
    'not-decryptable',
    `this was not encrypted to ${name} with OAEP, ${padding.hash} and this label`,
  );
}
