import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { operationSchema } from '../../protocol/value.ts';
import { collect, optionsOf, withDaemon } from '../context.ts';
import { createClientFile } from '../key-files.ts';
import { runOrders, withOrder } from '../orders.ts';
import { CommandError, faint, progress, say, sayJson, sayTable } from '../terminal.ts';
import { VerifiedChain } from '../verified-chain.ts';

interface AddOptions {
  key: string[];
  may: Operation[];
  rate: number;
  out?: string;
}

type Operation = z.infer<typeof operationSchema>;

/** `sign`, `decrypt` or both, as `sign,decrypt` or with the option repeated. */
const operations = (text: string, before: Operation[] = []): Operation[] => {
  const parsed = z.array(operationSchema).safeParse(text.split(','));
  if (!parsed.success) throw new InvalidArgumentError('write it as sign, decrypt or sign,decrypt.');
  return [...new Set([...before, ...parsed.data])].sort();
};

const ratePerMinute = (text: string): number => {
  const [, count] = /^(\d{1,7})\/min$/.exec(text) ?? [];
  if (count === undefined) throw new InvalidArgumentError('write it as 100/min.');
  return Number(count);
};

const addCommand = (): Command =>
  withOrder(new Command('add'))
    .description('list a new client with its rights; its key is written to a file')
    .argument('<name>')
    .requiredOption('--key <name>', 'a key that it may use, or * for all (repeat for several)', collect)
    .requiredOption('--may <operation>', 'what it may do: sign, decrypt, or both as sign,decrypt', operations)
    .option(
      '--rate <rate>',
      'requests that each peer serves, as 100/min (default: no bound)',
      ratePerMinute,
      0,
    )
    .option('--out <file>', "where the client's key goes (default: the home's clients/NAME.key)")
    .action(async (name: string, _, command: Command) => {
      const options = optionsOf<AddOptions>(command);
      let file = options.out;
      await runOrders(
        command,
        async (head, _daemon, home) => {
          if (!/^[a-z0-9][a-z0-9.-]{0,62}$/.test(name))
            throw new CommandError(
              'usage',
              `${name} is no name for a client: lower-case letters, digits, dots and dashes, 63 at most`,
            );
          if (head.clients.some((client) => client.name === name))
            throw new CommandError('refused', `a client named ${name} exists already; choose another name`);
          for (const key of options.key)
            if (key !== '*' && !head.keys.some((listed) => listed.name === key))
              throw new CommandError('refused', `there is no key named ${key}; see holdfast key list`);
          file = resolve(options.out ?? join(home.clientsDir, `${name}.key`));
          if (existsSync(file))
            throw new CommandError('failed', `${file} exists already; name another with --out`);
          const publicKey = createClientFile(file, name);
          progress(`client key: ${file}`);
          const rights = options.key.map((key) => ({ key, operations: options.may }));
          return [{ type: 'add-client', client: { name, publicKey, rights, ratePerMinute: options.rate } }];
        },
        () =>
          `client ${name} may ${options.may.join(' and ')} with ${options.key.join(', ')}; its key is ${file}`,
      );
    });

const removeCommand = (): Command =>
  withOrder(new Command('remove'))
    .description('take a client off the list')
    .argument('<name>')
    .action(async (name: string, _, command: Command) => {
      await runOrders(
        command,
        async (head) => {
          if (!head.clients.some((client) => client.name === name))
            throw new CommandError('refused', `there is no client named ${name}; see holdfast client list`);
          return [{ type: 'remove-client', name }];
        },
        () => `client ${name} is removed`,
      );
    });

const listCommand = (): Command =>
  new Command('list').description('clients and what they may do').action(async (_, command: Command) => {
    const head = await withDaemon(command, (daemon, home) => new VerifiedChain(home, daemon).head());
    const clients = head.clients.map(({ name, publicKey, rights, ratePerMinute: rate }) => ({
      name,
      publicKey: Buffer.from(publicKey).toString('hex'),
      rights,
      ratePerMinute: rate,
    }));
    if (optionsOf(command).json) return sayJson({ clients });
    if (clients.length === 0) return say(faint('none'));
    sayTable(
      ['name', 'may', 'rate', 'public key'],
      clients.map((client) => [
        client.name,
        client.rights.map((right) => `${right.operations.join('+')} with ${right.key}`).join(', '),
        client.ratePerMinute === 0 ? 'no bound' : `${client.ratePerMinute}/min`,
        client.publicKey,
      ]),
    );
  });

export const clientCommand = (): Command =>
  new Command('client')
    .description('who may ask for signatures and decryptions')
    .addCommand(addCommand())
    .addCommand(removeCommand())
    .addCommand(listCommand());
