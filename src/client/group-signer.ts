/**
 * Keys that a group keeps, used as one of its clients, by way of any daemon. It believes no daemon: a
 * signature is verified here, and a plaintext is put together here and nowhere else.
 */
import assert from 'node:assert/strict';
import { EncodingError } from '../crypto/errors.ts';
import { type Asked, AskedError, type Operation } from '../keys/kind/operation.ts';
import { kindNamed } from '../keys/kinds.ts';
import type { KeyUse } from '../protocol/records/value.ts';
import { type ApiClient, connectApi } from './api-client.ts';
import { ClientError } from './client-error.ts';
import { checkUse, Daemons, type Notice } from './daemons.ts';
import { Decryption } from './decryption.ts';
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

  async sign({ key, asked }: SignAsked): Promise<Signed> {
    const operation = checkAsked(key, 'sign', asked);
    const cluster = await this.#daemons.cluster();
    return this.#daemons.ask(async (daemon) => {
      const { id, kind } = key;
      const expiresAtMs = Date.now() + requestLifetimeMs;
      const request = newSignRequest({ client: this.#client, cluster, key: id, kind, asked, expiresAtMs });
      const answer = await daemon.sign(request, this.#timeoutMs);
      if (!operation.verify({ publicBytes: key.public, asked, result: answer.signature }))
        throw new ClientError(
          'false-signature',
          'the daemon returned a signature that is not valid; ask another peer',
        );
      return answer;
    }, 'sign again');
  }

  async decrypt({ key, asked, padding }: DecryptAsked): Promise<Decrypted> {
    checkAsked(key, 'decrypt', asked);
    const cluster = await this.#daemons.cluster();
    const { result, ...made } = await this.#daemons.ask(async (daemon) => {
      const { id, kind, pem } = key;
      const expiresAtMs = Date.now() + requestLifetimeMs;
      const decryption = Decryption.ask({
        ...{ client: this.#client, cluster, key: id, kind, pem, asked, expiresAtMs },
      });
      try {
        return await this.#resultFrom(daemon, decryption);
      } finally {
        decryption.forget();
      }
    }, 'decrypt again');
    return { ...made, plaintext: plaintextIn(result, key, padding) };
  }

  /**
   * First any `k` partials; only when they do not combine, those of everybody with proofs, which name who
   * lied. The daemon waits for the slow only a moment: asked once more, they have their answer ready.
   */
  async #resultFrom(
    daemon: ApiClient,
    decryption: Decryption,
  ): Promise<{ result: Uint8Array; epoch: number; holders: string[] }> {
    const endMs = performance.now() + this.#timeoutMs;
    let answered = 0;
    for (let prove = false; ; prove = true) {
      const leftMs = Math.max(1, Math.round(endMs - performance.now()));
      const answer = await daemon.decrypt(decryption.request, { prove, timeoutMs: leftMs });
      const { epoch, threshold, partials } = answer;
      const { result, culprits, refuted } = decryption.combine(answer);
      if (result !== null) {
        this.#tellOfLiars([...culprits, ...refuted]);
        const proven = partials.map(({ name }) => name).filter((name) => !culprits.includes(name));
        return { result, epoch, holders: proven.slice(0, threshold) };
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

/**
 * How the key serves the operation. Throws `ClientError('wrong-input')` for what no group could do with this
 * key.
 */
export function checkAsked(key: SignerKey, use: KeyUse, asked: Asked): Operation {
  checkUse(key, use);
  const operation = kindNamed(key.kind).operations[use];
  if (operation === undefined || !operation.asked.safeEncode(asked).success)
    throw new ClientError('wrong-input', `this is nothing that key ${key.name} can be asked`);
  try {
    // Only the members know what is bound to their newest value.
    const trial = { value: new Uint8Array(32), key: key.id };
    operation.checkForm(asked);
    operation.check({ publicBytes: key.public, asked, trial });
  } catch (error) {
    if (!(error instanceof AskedError)) throw error;
    const advice =
      use === 'decrypt' ? '; larger data goes under a key of its own, and that key under this one' : '';
    throw new ClientError('wrong-input', `${error.message}${advice}`);
  }
  return operation;
}

/** Throws `ClientError('not-decryptable')` for any defect of the padding: which one must not show. */
export function plaintextIn(
  result: Uint8Array,
  { name, kind, public: publicBytes }: Pick<SignerKey, 'name' | 'kind' | 'public'>,
  padding: Asked,
): Uint8Array {
  const operation = kindNamed(kind).operations.decrypt;
  assert(operation?.plaintextIn !== undefined, 'the key was asked to decrypt');
  try {
    return operation.plaintextIn({ publicBytes, result, padding });
  } catch (error) {
    if (!(error instanceof EncodingError)) throw error;
    throw new ClientError('not-decryptable', `this was not encrypted to ${name}: ${error.message}`);
  }
}
