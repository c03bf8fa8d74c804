import { Command, Option } from 'commander';
import type { ApiClient } from '../../api/client.ts';
import { checkSafePrimes, generateSafePrimes, type Primes } from '../../crypto/key-creation.ts';
import type { Home } from '../../node/home.ts';
import type { Order } from '../../protocol/order.ts';
import type { KeyUse, Value } from '../../protocol/value.ts';
import { duration, interruption, optionsOf, wholeNumber, withDaemon } from '../context.ts';
import { KeyDealer } from '../key-dealer.ts';
import type { SigningKey } from '../key-files.ts';
import { makeOrder, type OperatorOptions, openOperators, tookEffect, wipe, withOperator } from '../orders.ts';
import { CommandError, progress, readInput, say, sayJson } from '../terminal.ts';
import { VerifiedChain } from '../verified-chain.ts';

interface CreateOptions extends OperatorOptions {
  use: KeyUse;
  bits: number;
  primesFile?: string;
  timeout?: number;
}

const sizes = [2048, 3072, 4096];

export const keyCreateCommand = (): Command =>
  withOperator(new Command('create'))
    .description('make a shared RSA key; this command is its dealer and forgets it when the group has it')
    .argument('<name>')
    .addOption(
      new Option('--use <use>', 'what the key is for, for ever').choices(['sign']).makeOptionMandatory(),
    )
    .option('--bits <size>', sizes.join(', '), wholeNumber, 3072)
    .option('--timeout <time>', 'give up when the group has not decided after this time', duration)
    .addOption(
      new Option(
        '--primes-file <file>',
        'two safe primes as {"p": hex, "q": hex} instead of a search, for ceremonies and tests; erase the file afterwards',
      ),
    )
    .action(async (name: string, _, command: Command) => {
      const options = optionsOf<CreateOptions>(command);
      const given = options.primesFile === undefined ? null : readPrimes(options.primesFile);
      if (given === null && !sizes.includes(options.bits))
        throw new CommandError('usage', `--bits must be one of ${sizes.join(', ')} (it is ${options.bits})`);
      await withDaemon(command, async (daemon, home) => {
        const chain = new VerifiedChain(home, daemon);
        const head = await chain.head();
        checkName(head, name);
        if (home.genesis.operatorsNeeded > (options.operator?.length ?? 1))
          throw new CommandError(
            'usage',
            `this needs ${home.genesis.operatorsNeeded} operator keys at once; repeat --operator FILE`,
          );
        const keys = await openOperators(home, options);
        const modulusBits = given === null ? options.bits : (given.p * given.q).toString(2).length;
        const primes = given ?? (await searchPrimes(modulusBits));
        const dealer = new KeyDealer({
          genesis: home.genesis,
          cluster: home.cluster,
          cipher: home.readSettings().cipher,
          head: await chain.head(),
          name,
          use: options.use,
          modulusBits,
          primes,
        });
        try {
          const value = await dealUntilDecided({
            chain,
            daemon,
            home,
            dealer,
            keys,
            timeoutMs: options.timeout,
          });
          if (options.json) sayJson({ name, bits: modulusBits, epoch: value.epoch });
          else
            say(
              `epoch ${value.epoch}: key ${name}, ${modulusBits} bits, shared ${value.threshold} of ${value.roster.length}`,
            );
        } finally {
          dealer.forget();
          wipe(keys);
          progress('the dealer’s memory of the key is dropped; nothing of it was written to disk here');
        }
      });
    });

function checkName(head: Value, name: string): void {
  if (!/^[a-z0-9][a-z0-9.-]{0,62}$/.test(name))
    throw new CommandError(
      'usage',
      `${name} is no name for a key: lower-case letters, digits, dots and dashes, 63 at most`,
    );
  if (head.keys.some((key) => key.name === name))
    throw new CommandError('refused', `a key named ${name} exists already; choose another name`);
}

/** Searches off the main thread and says how it goes. */
async function searchPrimes(bits: number): Promise<Primes> {
  const startedAtMs = performance.now();
  progress(
    `searching two safe primes of ${bits / 2} bits: ${bits > 3072 ? 'up to minutes' : 'some seconds'}…`,
  );
  const primes = await generateSafePrimes(bits, interruption(), (found) => progress(`${found} of 2 found`));
  progress(`found after ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`);
  return primes;
}

function readPrimes(file: string): Primes {
  let primes: Primes;
  try {
    const { p, q } = JSON.parse(readInput(file).toString('utf8')) as { p: string; q: string };
    primes = { p: BigInt(`0x${p}`), q: BigInt(`0x${q}`) };
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError('failed', `${file} does not hold {"p": hex, "q": hex}`);
  }
  if (!checkSafePrimes(primes.p, primes.q))
    throw new CommandError('refused', `${file} does not hold two different safe primes`);
  return primes;
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
