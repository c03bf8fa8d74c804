/**
 * Giving a group a key, made here or imported: this command is its dealer, from the order to the decision, and forgets
 * the key then (protocol §4 "Creation").
 */
import type { Command } from 'commander';
import type { ApiClient } from '../api/client.ts';
import type { SigningKey } from '../api/client-file.ts';
import type { Primes } from '../crypto/key-creation.ts';
import type { Home } from '../node/home.ts';
import type { Order } from '../protocol/order.ts';
import type { KeyUse, Value } from '../protocol/value.ts';
import { checkName, type GlobalOptions, withDaemon } from './context.ts';
import { KeyDealer } from './key-dealer.ts';
import { type OperatorOptions, openOperators, wipe } from './operators.ts';
import { checkEnoughOperators, makeOrder, tookEffect } from './orders.ts';
import { CommandError, progress, say, sayJson } from './terminal.ts';
import { VerifiedChain } from './verified-chain.ts';
import { untilDone } from './waiting.ts';

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
    checkNewName(await chain.head(), key.name);
    checkEnoughOperators(home, options, '; all of them here, for only this command can deal the key');
    const keys = await openOperators(home, options);
    const secret = await key.make(home);
    const modulusBits = (secret.primes.p * secret.primes.q).toString(2).length;
    const dealer = new KeyDealer({
      genesis: home.genesis,
      cluster: home.cluster,
      cipher: home.readSettings().cipher,
      head: await chain.head(),
      key: { name: key.name, use: key.use, modulusBits, ...secret },
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

function checkNewName(head: Value, name: string): void {
  checkName('key', name);
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
  let order: Order = makeOrder(home, await chain.head(), [dealer.action], keys);
  await daemon.submitOrder(order);
  let shown = '';
  const step = async (): Promise<Value | null> => {
    const head = await chain.head();
    if (head.lastOrder >= order.body.sequence) {
      if (tookEffect(order, head)) return head;
      throw new CommandError(
        'failed',
        `another order with number ${order.body.sequence} was carried out instead; run this again`,
      );
    }
    if (dealer.renew(head)) {
      progress(`epoch ${head.epoch} was decided without the key; its shares are made and dealt anew`);
      order = makeOrder(home, head, [dealer.action], keys); // in the place of the first, on a later value
      await daemon.submitOrder(order);
    }
    const view = await daemon.creation(order);
    // The daemon may have moved on between the two answers; the next event brings both together.
    if (view.head.value.epoch !== head.epoch) return null;
    const { packets, attending, quorum } = dealer.dealings(head, view, order);
    if (packets.length > 0) await daemon.submitDealings(packets);
    const line = `${attending} of ${head.roster.length} attend, ${quorum} needed`;
    if (line !== shown) progress(line);
    shown = line;
    return null;
  };
  return untilDone(daemon, step, {
    timeoutMs,
    begins: `order ${order.body.sequence} is handed in; keep this command running until the group has decided`,
    stopped: 'stopped; the key is dropped here, and the group has it only if holdfast key list shows it',
    late: (missing) =>
      `the group has not decided yet: ${shown || 'nobody attends'}${missing}; the key is dropped, create it again when more peers are up`,
  });
}
