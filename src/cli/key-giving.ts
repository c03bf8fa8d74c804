/**
 * Giving a group a key, made here or imported: this command is its dealer, from the order to the decision, and forgets
 * the key then (protocol §4 "Creation").
 */
import type { Command } from 'commander';
import type { ApiClient } from '../api/client.ts';
import type { Primes } from '../crypto/key-creation.ts';
import type { Home } from '../node/home.ts';
import type { Order } from '../protocol/order.ts';
import type { KeyUse, Value } from '../protocol/value.ts';
import { type GlobalOptions, interruption, withDaemon } from './context.ts';
import { KeyDealer } from './key-dealer.ts';
import type { SigningKey } from './key-files.ts';
import { makeOrder, type OperatorOptions, openOperators, tookEffect, wipe } from './orders.ts';
import { CommandError, progress, say, sayJson } from './terminal.ts';
import { VerifiedChain } from './verified-chain.ts';

export interface GiveOptions extends OperatorOptions {
  timeout?: number;
}

export interface KeyToGive {
  name: string;
  use: KeyUse;
  /** The secret key, made when it is clear that the group may have it; `home` is where the operator is. */
  make: (home: Home) => Promise<{ primes: Primes; exponent: bigint }>;
  /** Added to what is reported: facts for --json, and lines for people. */
  report?: { facts: Record<string, unknown>; lines: readonly string[] };
}

/** Hands the key in, deals it, waits until the group has it, and says so. */
export async function giveKey(
  command: Command,
  options: GiveOptions & GlobalOptions,
  key: KeyToGive,
): Promise<void> {
  await withDaemon(command, async (daemon, home) => {
    const chain = new VerifiedChain(home, daemon);
    checkName(await chain.head(), key.name);
    if (home.genesis.operatorsNeeded > (options.operator?.length ?? 1))
      throw new CommandError(
        'usage',
        `this needs ${home.genesis.operatorsNeeded} operator keys at once; repeat --operator FILE`,
      );
    const keys = await openOperators(home, options);
    const secret = await key.make(home);
    const modulusBits = (secret.primes.p * secret.primes.q).toString(2).length;
    const dealer = new KeyDealer({
      genesis: home.genesis,
      cluster: home.cluster,
      cipher: home.readSettings().cipher,
      head: await chain.head(),
      name: key.name,
      use: key.use,
      modulusBits,
      ...secret,
    });
    try {
      const value = await dealUntilDecided({ chain, daemon, home, dealer, keys, timeoutMs: options.timeout });
      const { epoch, threshold, roster } = value;
      if (options.json) return sayJson({ name: key.name, bits: modulusBits, epoch, ...key.report?.facts });
      say(`epoch ${epoch}: key ${key.name}, ${modulusBits} bits, shared ${threshold} of ${roster.length}`);
      for (const line of key.report?.lines ?? []) say(line);
    } finally {
      dealer.forget();
      wipe(keys);
      progress('the dealer’s memory of the key is dropped; nothing of it was written to disk here');
    }
  });
}

function checkName(head: Value, name: string): void {
  if (!/^[a-z0-9][a-z0-9.-]{0,62}$/.test(name))
    throw new CommandError(
      'usage',
      `${name} is no name for a key: lower-case letters, digits, dots and dashes, 63 at most`,
    );
  if (head.keys.some((key) => key.name === name))
    throw new CommandError('refused', `a key named ${name} exists already; choose another name`);
}

/** Hands in the order and deals to whoever attends its plan, until a certified value has the key. */
async function dealUntilDecided(options: {
  chain: VerifiedChain;
  daemon: ApiClient;
  home: Home;
  dealer: KeyDealer;
  keys: readonly SigningKey[];
  timeoutMs: number | undefined;
}): Promise<Value> {
  const { chain, daemon, home, dealer, keys, timeoutMs } = options;
  const { seed } = keys[0] as SigningKey;
  const order: Order = makeOrder(home, await chain.head(), dealer.action, keys);
  await daemon.submitOrder(order);
  progress(
    `order ${order.body.sequence} is handed in; keep this command running until the group has decided`,
  );
  const signal = interruption(timeoutMs);
  let shown = '';
  const step = async (): Promise<Value | null> => {
    const head = await chain.head();
    if (head.lastOrder >= order.body.sequence) {
      if (tookEffect(dealer.action, head)) return head;
      throw new CommandError(
        'failed',
        `another order with number ${order.body.sequence} was carried out instead; run this again`,
      );
    }
    const view = await daemon.creation(order);
    // The daemon may have moved on between the two answers; the next event brings both together.
    if (view.head.value.epoch !== head.epoch) return null;
    const { packets, attending, quorum } = dealer.dealings(head, view, order, seed);
    if (packets.length > 0) await daemon.submitDealings(packets);
    const line = `${attending} of ${head.roster.length} attend, ${quorum} needed`;
    if (line !== shown) progress(line);
    shown = line;
    return null;
  };
  return daemon.until(step, signal).catch((error: unknown) => {
    if (!signal.aborted) throw error;
    const why = `the group has not decided yet: ${shown || 'nobody attends'}`;
    throw new CommandError(
      'not-enough-peers',
      `${why}; the key is dropped, create it again when more peers are up`,
    );
  });
}
