/**
 * Every secret that stood in the homes of peers at some instant, and secrets that a test adds. A test
 * searches for them, or tries them as keys on sealed bytes.
 */
import { createHash, createPrivateKey } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bytesToInteger, decodeSigned } from '../../src/crypto/integers.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { openStolen, withStolenStore } from '../../src/lab/stolen-shares.ts';
import { identityFromBytes } from '../../src/node/home/identity.ts';
import { readSlot, slotNames } from '../../src/node/store/key-slot.ts';
import type { Durable } from '../../src/protocol/machine/durable-state.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import { type Needle, needlesOfBytes, needlesOfNumber } from './needles.ts';

/** The kinds of secrets in a peer's store. Some stand there only while an epoch changes. */
export const kindsInStores = [
  'store key',
  'share',
  'epoch key',
  'epoch key of an undecided change',
  'one-time sealing key',
  'coefficient of a dealing',
  'sub-share',
] as const;

/** Gathers secrets. */
export class SecretsInHomes {
  /** How many different secrets of each kind were gathered. */
  readonly kinds = new Map<string, number>();
  readonly #seen = new Set<string>();
  readonly #needles: Array<() => Needle[]> = [];
  readonly #keys: Array<{ what: string; secret: Uint8Array }> = [];

  /** Every form in which one of the secrets could stand in a text. */
  needles(): Needle[] {
    return this.#needles.flatMap((make) => make());
  }

  /** All secrets of 32 bytes as X25519 secrets: as they are, and as Ed25519 seeds (RFC 8032 §5.1.5). */
  keys(): Array<{ what: string; secret: Uint8Array }> {
    const scalarOf = (seed: Uint8Array) =>
      new Uint8Array(createHash('sha512').update(seed).digest().subarray(0, 32));
    return this.#keys.flatMap((key) => [
      key,
      { what: `${key.what}, as an Ed25519 seed`, secret: scalarOf(key.secret) },
    ]);
  }

  bytes(kind: string, of: string, secret: Uint8Array): void {
    const copy = new Uint8Array(secret);
    const isNew = this.#keep(kind, hex(copy), () => needlesOfBytes(`${kind} of ${of}`, copy));
    if (isNew && copy.length === 32) this.#keys.push({ what: `${kind} of ${of}`, secret: copy });
  }

  number(kind: string, of: string, secret: bigint): void {
    this.#keep(kind, secret.toString(), () => needlesOfNumber(`${kind} of ${of}`, secret));
  }

  text(kind: string, secret: string): void {
    this.#keep(kind, secret, () => [
      { name: kind, text: secret },
      ...needlesOfBytes(kind, Buffer.from(secret)),
    ]);
  }

  /** Gathers all numbers of an RSA private key. */
  rsaKey(kind: string, pem: string, passphrase: string): void {
    const jwk = createPrivateKey({ key: pem, passphrase }).export({ format: 'jwk' });
    for (const name of ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const)
      this.number(kind, name, bytesToInteger(Buffer.from(jwk[name] ?? '', 'base64url')));
  }

  /** Gathers the secrets that a thief of a running peer's folder would have now. */
  async peer(lab: Lab, name: string): Promise<void> {
    const { home } = lab.peer(name);
    for (const file of ['identity', 'lobby-identity']) {
      const { raw } = identityFromBytes(readFileSync(join(home, file)));
      this.bytes(file, name, raw.subarray(0, 32));
      this.bytes(`${file} with its public half`, name, raw);
    }
    this.firstEpochKey(home, name);
    await withStolenStore(home, async (store) => {
      for (const slot of slotNames) {
        const path = join(store, 'vault', slot);
        const generation = existsSync(path) ? readSlot(readFileSync(path)) : undefined;
        if (generation !== undefined) this.bytes('store key', name, generation.storeKey);
      }
      this.#store(name, await openStolen(store));
    });
  }

  async peers(lab: Lab): Promise<void> {
    for (const name of lab.names) await this.peer(lab, name);
  }

  /** The home has this key until the daemon's store has it. */
  firstEpochKey(home: string, name: string): void {
    const file = join(home, 'first-epoch-key');
    if (existsSync(file)) this.bytes('first epoch key', name, readFileSync(file));
  }

  #store(name: string, durable: Durable): void {
    for (const byKey of Object.values(durable.shares))
      for (const share of Object.values(byKey)) this.#signed('share', name, share);
    const current = new Set(
      durable.links[durable.own.head]?.value.roster.map(({ epochKey }) => hex(epochKey)) ?? [],
    );
    for (const [key, seed] of Object.entries(durable.epochSecrets))
      this.bytes(current.has(key) ? 'epoch key' : 'epoch key of an undecided change', name, seed);
    for (const { sealingSecret } of Object.values(durable.attended))
      this.bytes('one-time sealing key', name, sealingSecret);
    for (const { coefficients } of Object.values(durable.dealt))
      for (const one of coefficients.flat()) this.#signed('coefficient of a dealing', name, one);
    for (const { numbers } of Object.values(durable.subShares))
      for (const one of numbers) this.#signed('sub-share', name, one);
  }

  /** Gathers a number, and its encoded bytes. */
  #signed(kind: string, of: string, encoded: Uint8Array): void {
    this.#keep(kind, hex(encoded), () => [
      ...needlesOfNumber(`${kind} of ${of}`, decodeSigned(encoded)),
      ...needlesOfBytes(`${kind} of ${of}`, encoded),
    ]);
  }

  /** Gives true when the secret was not known yet. */
  #keep(kind: string, id: string, needles: () => Needle[]): boolean {
    const known = `${kind} ${id}`;
    if (this.#seen.has(known)) return false;
    this.#seen.add(known);
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
    this.#needles.push(needles);
    return true;
  }
}
