/**
 * The daemons of one group that a client knows, asked as if they were one: where one is gone, belongs to no
 * group, cannot serve or says what is not true, the next one is asked. None of them is trusted.
 */
import type { Answer } from '../api/routes.ts';
import { KeyError } from '../crypto/errors.ts';
import type { PublicForms } from '../keys/kind/kind.ts';
import { kindNamed } from '../keys/kinds.ts';
import { fromHex, hex } from '../protocol/records/codec.ts';
import { keyIdOf } from '../protocol/records/draft-actions.ts';
import type { KeyUse } from '../protocol/records/value.ts';
import { type ApiClient, ApiError } from './api-client.ts';
import { ClientError } from './client-error.ts';
import type { SignerKey } from './signer.ts';

/** A key as a daemon lists it, which its id binds. */
export interface GroupKey extends SignerKey {
  readonly listed: Answer<'key'>;
}

/** What goes on meanwhile, for whoever wants to tell somebody. */
export type Notice =
  /** A daemon gave no answer that can be used; the next one is asked. */
  | { type: 'next-daemon'; daemon: string; why: ClientError }
  /** The partials of a decryption do not combine: everybody is asked for proofs. */
  | { type: 'asking-for-proofs' }
  /** Members that gave a false partial. */
  | { type: 'false-partials'; members: string[] };

interface DaemonsOptions {
  /** At least one. The one that answered last is asked first. */
  daemons: readonly ApiClient[];
  /** The group's id; null: that of the first daemon whose keys fit the id that it names. */
  cluster: Uint8Array | null;
  onNotice?: ((notice: Notice) => void) | undefined;
  /**
   * How long a daemon that is connected may be silent, beyond what it was told to wait. Left out: with one
   * daemon as long as its connection is, with several a few seconds.
   */
  patienceMs?: number | undefined;
}

const patienceWithOthersMs = 5000;

/** After these another daemon may do better. All others are the group's own word, or the client's mistake. */
const mayDoBetter: ReadonlySet<ClientError['code']> = new Set([
  'unreachable',
  'not-a-member',
  'unavailable',
  'not-enough-peers',
  'not-to-be-trusted',
  'false-signature',
] as const);

export class Daemons {
  readonly #daemons: readonly ApiClient[];
  readonly onNotice: (notice: Notice) => void;
  #cluster: Uint8Array | null;
  /** The daemon that answered last. */
  #first = 0;

  constructor({ daemons, cluster, onNotice = () => {}, patienceMs }: DaemonsOptions) {
    if (daemons.length === 0) throw new RangeError('a client knows at least one daemon');
    const patience = patienceMs ?? (daemons.length > 1 ? patienceWithOthersMs : undefined);
    this.#daemons = patience === undefined ? daemons : daemons.map((daemon) => daemon.within(patience));
    this.#cluster = cluster;
    this.onNotice = onNotice;
  }

  /**
   * What `use` makes of the first daemon that gives an answer. It is called anew for each daemon, and makes a
   * fresh request each time: nothing that one of them was given helps it against the next. Rejects with
   * `ClientError`.
   * @param again what the caller can do once enough members are there: `sign again`
   */
  async ask<T>(use: (daemon: ApiClient) => Promise<T>, again = 'ask again'): Promise<T> {
    const failed: { daemon: string; why: ClientError }[] = [];
    const { length } = this.#daemons;
    const first = this.#first;
    for (let turn = 0; turn < length; turn += 1) {
      const at = (first + turn) % length;
      const daemon = this.#daemons[at] as ApiClient;
      try {
        const answer = await use(daemon);
        this.#first = at;
        return answer;
      } catch (error) {
        const why = asClientError(error, again);
        if (!(why instanceof ClientError) || !mayDoBetter.has(why.code)) throw why;
        failed.push({ daemon: daemon.target, why });
        if (turn + 1 < length) this.onNotice({ type: 'next-daemon', daemon: daemon.target, why });
      }
    }
    throw noneOf(failed);
  }

  /** The group's keys, each of which fits its id. */
  keys(): Promise<GroupKey[]> {
    return this.ask(async (daemon) => {
      const listed = await daemon.keys();
      const cluster = this.#cluster ?? fromHex((await daemon.status()).cluster);
      const keys = listed.map((key) => checkedKey(cluster, key));
      this.#cluster = cluster;
      return keys;
    });
  }

  /** The key of this name. Rejects with `no-such-key`, and with `wrong-input` for one of another use. */
  async key(name: string, use?: KeyUse): Promise<GroupKey> {
    const found = (await this.keys()).find((key) => key.name === name);
    if (found === undefined) throw new ClientError('no-such-key', `there is no key named ${name}`);
    if (use !== undefined) checkUse(found, use);
    return found;
  }

  /** The group's id, as it was given or learned. */
  async cluster(): Promise<Uint8Array> {
    if (this.#cluster === null) await this.keys();
    return this.#cluster as Uint8Array;
  }
}

export function checkUse({ name, use }: SignerKey, wanted: KeyUse): void {
  if (use !== wanted) throw new ClientError('wrong-input', `key ${name} is for ${use} only`);
}

/**
 * A request names a key by its id alone, so a daemon could show another key under a name that people know.
 */
function checkedKey(cluster: Uint8Array, listed: Answer<'key'>): GroupKey {
  const { name, id, kind, use } = listed;
  const publicBytes = fromHex(listed.public);
  const forms = formsOf(kind, publicBytes);
  if (
    forms === null ||
    hex(publicBytes) !== listed.public ||
    hex(keyIdOf(cluster, { name, kind, use, public: publicBytes })) !== id ||
    forms.bits !== listed.bits ||
    forms.pem !== listed.pem
  )
    throw new ClientError(
      'not-to-be-trusted',
      `what the daemon says of key ${name} does not fit its id; ask another peer`,
    );
  const { bits, pem } = forms;
  return { name, id: fromHex(id), kind, use, bits, pem, public: publicBytes, listed };
}

/**
 * Null for public values that no group would have taken: the id binds them, and says nothing of their sense.
 */
function formsOf(kind: string, publicBytes: Uint8Array): PublicForms | null {
  try {
    return kindNamed(kind).publicForms(publicBytes);
  } catch (error) {
    if (error instanceof KeyError) return null;
    throw error;
  }
}

const codes: Partial<Record<ApiError['code'], ClientError['code']>> = {
  'not-running': 'unreachable',
  untrusted: 'not-to-be-trusted',
  'not-a-member': 'not-a-member',
  'not-enough-peers': 'not-enough-peers',
  refused: 'refused',
  malformed: 'refused',
  'socket-only': 'refused',
  'over-rate': 'over-rate',
};

/** The client's own error for a daemon's; any other error stays what it is. */
function asClientError(error: unknown, again: string): unknown {
  if (!(error instanceof ApiError)) return error;
  const { rule } = error;
  const options = { cause: error, rule };
  if (error.code === 'not-enough-peers')
    return new ClientError('not-enough-peers', `${missing(error)}; start them and ${again}`, options);
  // A daemon of another group refuses everything; one of the client's own may be next.
  const code = rule === 'wrong-cluster' ? 'not-to-be-trusted' : (codes[error.code] ?? 'unavailable');
  return new ClientError(code, error.inFull, options);
}

/** What was missing, and who did not answer. */
function missing(error: ApiError): string {
  const [what = ''] = error.message.split(';');
  const who = error.entries.join(', ');
  return who === '' ? what : `${what}; missing: ${who}`;
}

/** From the one that says most of how to go on. */
const byWeight: readonly ClientError['code'][] = [
  'not-enough-peers',
  'unavailable',
  'false-signature',
  'not-to-be-trusted',
  'not-a-member',
  'unreachable',
];

/**
 * Why no daemon gave an answer: one reason as it is, several one after the other, with the weightiest one's
 * code.
 */
function noneOf(failed: readonly { daemon: string; why: ClientError }[]): ClientError {
  const [only] = failed;
  if (only !== undefined && failed.length === 1) return only.why;
  const code = byWeight.find((one) => failed.some(({ why }) => why.code === one)) ?? 'unavailable';
  const reasons = failed.map(({ daemon, why }) => `${daemon}: ${why.message}`).join(' | ');
  const cause = new AggregateError(
    failed.map(({ why }) => why),
    'no daemon gave an answer',
  );
  return new ClientError(code, `none of ${failed.length} daemons gave an answer: ${reasons}`, { cause });
}
