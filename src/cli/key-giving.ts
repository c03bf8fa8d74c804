/**
 * Gives a group a key, with its first client when the command names one. The key is new or imported. The
 * command is the key's dealer from the order to the decision, and forgets the key then (protocol §4
 * "Creation").
 */

import type { Command } from 'commander';
import { type ApiClient, ApiError } from '../client/api-client.ts';
import { KeyDealer } from '../client/key-dealer.ts';
import type { SigningKey } from '../client/signing-key.ts';
import { VerifiedChain } from '../client/verified-chain.ts';
import type { SecretKey } from '../keys/kind/shared-key.ts';
import { kindNamed } from '../keys/kinds.ts';
import type { Home } from '../node/home/home.ts';
import { hex, sameBytes } from '../protocol/records/codec.ts';
import { keyIdOf } from '../protocol/records/draft-actions.ts';
import type { Action, Order } from '../protocol/records/order.ts';
import type { Packet } from '../protocol/records/packet.ts';
import type { KeyRecord, KeyUse, Value } from '../protocol/records/value.ts';
import { type NewClientOptions, type PlannedClient, planClient, withNewClient } from './clients.ts';
import { checkName, type GlobalOptions, withDaemon } from './context.ts';
import { createdSince, type DoneAlready, listedSince } from './done-already.ts';
import { warnOfWaiting } from './feasibility.ts';
import { HandingIn } from './handing-in.ts';
import { knownGroup } from './known-group.ts';
import { type OperatorOptions, openOperators, wipe } from './operators.ts';
import { checkEnoughOperators, makeOrder } from './orders.ts';
import { CommandError, progress, say, sayJson } from './terminal.ts';

/** The options of `key create` and `key import`. `timeout` is in milliseconds. */
export interface GiveOptions extends OperatorOptions, NewClientOptions {
  timeout?: number;
  client?: string;
}

/** Adds the options for the key's first client. */
export const withFirstClient = (command: Command): Command =>
  withNewClient(
    command.option(
      '--client <name>',
      "make the key's first client too, limited to it: its key goes to clients/NAME.key in the home",
    ),
  );

interface KeyToGive {
  name: string;
  use: KeyUse;
  /**
   * The secret key, or a function that makes it. The function is called only when the group may have the key.
   */
  secret: SecretKey | (() => Promise<SecretKey>);
  /** Throws for a key that this group cannot have. */
  check?: (home: Home) => void;
  /** More to report: facts for `--json`, and lines for people. */
  report?: { facts: Record<string, unknown>; lines: readonly string[] };
}

/**
 * Hands in the order for the key, deals the key, and waits until the group has it. Then it reports.
 * @throws CommandError, ApiError, ClientError, HomeError
 */
export async function giveKey(
  command: Command,
  options: GiveOptions & GlobalOptions,
  key: KeyToGive,
): Promise<void> {
  await withDaemon(command, async (daemon, home) => {
    const chain = new VerifiedChain(knownGroup(home), daemon);
    const head = await chain.head();
    checkName('key', key.name);
    if (typeof key.secret !== 'function') key.check?.(home);
    const rights = [{ key: key.name, operations: [key.use] }];
    const client =
      options.client === undefined ? null : planClient(head, home, { name: options.client, rights, options });
    const already = await givenSince(head, daemon, key, client);
    if (already !== null) return sayGiven(already.value, key, client, { ...options, already: true });
    checkEnoughOperators(home, options, '; all of them here, for only this command can deal the key');
    await warnOfWaiting([], { head, daemon, home });
    const keys = await openOperators(home, options);
    let gift: Gift | null = null;
    try {
      await client?.ask();
      const secret = typeof key.secret === 'function' ? await key.secret() : key.secret;
      key.check?.(home);
      gift = new Gift(
        { command, chain, daemon, home, keys, client, timeoutMs: options.timeout },
        key,
        secret,
        await chain.head(),
      );
      sayGiven(await gift.give(), key, client, { ...options, already: false });
    } catch (error) {
      if (gift?.sent !== true) client?.undo();
      throw error;
    } finally {
      gift?.forget();
      wipe(keys);
      progress('the dealer’s memory of the key is dropped; nothing of it was written to disk here');
    }
  });
}

/**
 * When an earlier try of the same command gave the group this key; null when none did. The command knows its
 * key by the public values, if it has the key already. Otherwise it knows the key by its client: only the
 * earlier try can have left the client's key here, and the same order listed both.
 * @throws CommandError `refused` when another key has the name
 */
async function givenSince(
  head: Value,
  daemon: ApiClient,
  { name, use, secret }: KeyToGive,
  client: PlannedClient | null,
): Promise<DoneAlready | null> {
  const found = head.keys.find((one) => one.name === name);
  if (found === undefined) return null;
  const since = await createdSince(head, daemon, name, found);
  if (since === null) return null;
  const { epoch } = since.value;
  const meant = typeof secret === 'function' ? null : secret.identity;
  const withClient =
    client?.listed === true && (await listedSince(head, daemon, client.name)).value.epoch === epoch;
  const sameKey =
    meant === null ? withClient : sameBytes(meant, kindNamed(found.kind).identityOf(found.public));
  if (found.use === use && sameKey && (client === null || withClient)) return since;
  throw new CommandError(
    'refused',
    `a key named ${name} exists already: to ${found.use} with, ${bitsOf(found)} bits, id ${hex(found.id).slice(0, 16)}…, made in epoch ${epoch}; choose another name, unless it is the one that an earlier try named by this id`,
  );
}

const bitsOf = (key: KeyRecord): number => kindNamed(key.kind).publicForms(key.public).bits;

function sayGiven(
  { epoch, threshold, roster, keys, clients }: Value,
  { name, use, report }: KeyToGive,
  client: PlannedClient | null,
  { json, already }: { json: boolean; already: boolean },
): void {
  const key = keys.find((one) => one.name === name);
  const bits = key === undefined ? 0 : bitsOf(key);
  if (json) {
    const made = client === null ? null : { name: client.name, file: client.file };
    return sayJson({ name, bits, epoch, client: made, already, ...report?.facts });
  }
  const again = already ? '; this was done already' : '';
  say(`epoch ${epoch}: key ${name}, ${bits} bits, shared ${threshold} of ${roster.length}${again}`);
  for (const line of report?.lines ?? []) say(line);
  if (client !== null) return say(client.words());
  const served = clients.some(({ rights }) =>
    rights.some((right) => (right.key === '*' || right.key === name) && right.operations.includes(use)),
  );
  if (!served)
    progress(`no client may use it yet; list one with: holdfast client add NAME --key ${name} --may ${use}`);
}

interface Giving {
  command: Command;
  chain: VerifiedChain;
  daemon: ApiClient;
  home: Home;
  keys: readonly SigningKey[];
  client: PlannedClient | null;
  timeoutMs: number | undefined;
}

/**
 * One key on its way to the group, with its dealer and with the order that creates it and lists its client.
 */
class Gift {
  readonly #of: Giving;
  readonly #dealer: KeyDealer;
  readonly #handing: HandingIn;
  #listing: Action[] = [];
  /** Dealings that the daemon has not confirmed. A daemon that comes back gets the same ones again. */
  #due: Packet[] = [];
  #shown = '';
  /** The epoch in which the daemon refused the order because another order with its number was pending. */
  #blockedIn: number | null = null;

  constructor(of: Giving, { name, use }: KeyToGive, secret: SecretKey, head: Value) {
    this.#of = of;
    const { genesis, cluster } = of.home;
    this.#dealer = new KeyDealer({
      ...{ genesis, cluster, cipher: of.home.readSettings().cipher, head },
      key: { name, use, secret },
    });
    const id = hex(keyIdOf(cluster, this.#dealer.action)).slice(0, 16);
    const note = `, by the id ${id}…; the key is dropped here, so where that id does not show, create the key again: that waits until the group has gone on without this order`;
    this.#handing = new HandingIn(this.#orderOn(head), { ...of, note });
  }

  /** Whether the group may have the order. */
  get sent(): boolean {
    return this.#handing.sent;
  }

  /** Drops the dealer's memory of the key. */
  forget(): void {
    this.#dealer.forget();
  }

  /**
   * Hands in the order, and deals to the members that attend its plan. Ends when a certified value has the
   * key.
   */
  async give(): Promise<Value> {
    await this.#listClient();
    return this.#handing.wait(() => this.#step(), {
      timeoutMs: this.#of.timeoutMs,
      begins: null,
      late: (missing) => `the group has not decided yet: ${this.#shown || 'nobody attends'}${missing}`,
    });
  }

  #orderOn(head: Value): Order {
    return makeOrder(this.#of.home, head, [this.#dealer.action, ...this.#listing], this.#of.keys);
  }

  /** Writes the client's key to the disk, under the number of its order, before anybody else hears of it. */
  async #listClient(): Promise<void> {
    const { client, chain } = this.#of;
    const head = await chain.head();
    if (client !== null)
      this.#listing = [{ type: 'add-client', client: await client.make(head.lastOrder + 1) }];
    this.#handing.replace(this.#orderOn(head));
  }

  async #step(): Promise<Value | null> {
    const { chain, daemon } = this.#of;
    // Taken first: a head that is taken after the look for a decision may be that decision, and have the key.
    const head = await chain.head();
    const decided = this.#handing.sent ? await this.#handing.decision() : null;
    if (decided !== null) return decided;
    if (this.#dealer.renew(head)) {
      progress(`epoch ${head.epoch} was decided without the key; its shares are made and dealt anew`);
      this.#due = [];
      // The new order follows a later value, and has the number of the first.
      this.#handing.replace(this.#orderOn(head));
    }
    if (!(await this.#isHandedIn(head))) return null;
    const order = this.#handing.current;
    const view = await daemon.creation(order);
    // The daemon may have moved on between its two answers. After the next event they agree.
    if (view.head.value.epoch !== head.epoch) return null;
    const { packets, attending, quorum } = this.#dealer.dealings(head, view, order);
    this.#due.push(...packets);
    if (this.#due.length > 0) await daemon.submitDealings(this.#due);
    this.#due = [];
    const line = `${attending} of ${head.roster.length} attend, ${quorum} needed`;
    if (line !== this.#shown) progress(line);
    this.#shown = line;
    return null;
  }

  /** False while another order has the number, such as that of an earlier try whose dealing never comes. */
  async #isHandedIn({ epoch }: Value): Promise<boolean> {
    if (this.#blockedIn === epoch) return false;
    if (this.#blockedIn !== null) {
      this.#of.client?.undo(); // its file belongs to an order of another number, which was never handed in
      await this.#listClient();
    }
    const { sequence } = this.#handing.current.body;
    try {
      if (await this.#handing.submit())
        progress(`order ${sequence} is handed in; keep this command running until the group has decided`);
      this.#blockedIn = null;
      return true;
    } catch (error) {
      if (this.#handing.sent || !(error instanceof ApiError) || error.rule !== 'order-pending') throw error;
      progress(
        `order ${sequence} is pending; waiting until the group has carried it out, or goes on without it…`,
      );
      this.#blockedIn = epoch;
      return false;
    }
  }
}
