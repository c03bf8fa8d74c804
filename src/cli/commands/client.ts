import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { z } from 'zod';
import { createClientFile } from '../../api/client-file.ts';
import { operationSchema, schemeSchema } from '../../protocol/value.ts';
import { checkName, collect, optionsOf, withDaemon } from '../context.ts';
import { rightsInWords } from '../order-words.ts';
import { runOrder, withOrder } from '../orders.ts';
import { CommandError, faint, progress, say, sayJson, sayTable, warn } from '../terminal.ts';
import { VerifiedChain } from '../verified-chain.ts';
import { clientOpenCommand } from './client-open.ts';
import { clientSignRequestCommand } from './client-sign-request.ts';

interface AddOptions {
  key: string[];
  may: Operation[];
  scheme?: Scheme[];
  rate: number;
  out?: string;
}

type Operation = z.infer<typeof operationSchema>;
type Scheme = z.infer<typeof schemeSchema>;

/** One or more words of a list, as `one,other` or with the option repeated. */
const wordsOf =
  <Word extends string>(schema: z.ZodType<Word>, usage: string) =>
  (text: string, before: Word[] = []): Word[] => {
    const parsed = z.array(schema).safeParse(text.split(','));
    if (!parsed.success) throw new InvalidArgumentError(usage);
    return [...new Set([...before, ...parsed.data])].sort();
  };
const operations = wordsOf(operationSchema, 'write it as sign, decrypt or sign,decrypt.');
const schemes = wordsOf(schemeSchema, 'write it as pkcs1, pss or pkcs1,pss.');

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
    .option('--scheme <scheme>', 'signatures of this kind only: pkcs1 or pss (default: both)', schemes)
    .addOption(
      new Option('--rate <rate>', 'requests that each peer serves, as 100/min')
        .argParser(ratePerMinute)
        .default(0, 'no bound'),
    )
    .option('--out <file>', "where the client's key goes (default: the home's clients/NAME.key)")
    .action(async (name: string, _, command: Command) => {
      const options = optionsOf<AddOptions>(command);
      let file = options.out;
      await runOrder(
        command,
        async (head, _daemon, home) => {
          checkName('client', name);
          if (head.clients.some((client) => client.name === name))
            throw new CommandError('refused', `a client named ${name} exists already; choose another name`);
          for (const key of options.key) {
            const listed = head.keys.find((one) => one.name === key);
            if (key !== '*' && listed === undefined)
              throw new CommandError('refused', `there is no key named ${key}; see holdfast key list`);
            if (listed !== undefined && !options.may.includes(listed.use))
              warn(`key ${key} is to ${listed.use} with only: this client will have no use for it`);
          }
          const keyFile = resolve(options.out ?? join(home.clientsDir, `${name}.key`));
          if (existsSync(keyFile))
            throw new CommandError('failed', `${keyFile} exists already; name another with --out`);
          return () => {
            const publicKey = createClientFile(keyFile, name);
            progress(`client key: ${keyFile}`);
            file = keyFile;
            const limited = options.scheme === undefined ? {} : { schemes: options.scheme };
            const rights = options.key.map((key) => ({ key, operations: options.may, ...limited }));
            return [{ type: 'add-client', client: { name, publicKey, rights, ratePerMinute: options.rate } }];
          };
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
      await runOrder(
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
        rightsInWords(client),
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
    .addCommand(listCommand())
    .addCommand(clientSignRequestCommand())
    .addCommand(clientOpenCommand());
