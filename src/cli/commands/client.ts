import { Command, InvalidArgumentError } from 'commander';
import { z } from 'zod';
import { VerifiedChain } from '../../client/verified-chain.ts';
import { kindNamed, kindNames } from '../../keys/kinds.ts';
import { keyUseSchema, type Value } from '../../protocol/records/value.ts';
import { type NewClientOptions, planClient, withNewClient } from '../clients.ts';
import { checkName, collect, optionsOf, withDaemon } from '../context.ts';
import { goneSince, listedSince } from '../done-already.ts';
import { knownGroup } from '../known-group.ts';
import { rightsInWords } from '../order-words.ts';
import { type Decided, runOrder, withOrder } from '../orders.ts';
import { CommandError, faint, say, sayJson, sayTable, warn } from '../terminal.ts';
import { clientOpenCommand } from './client-open.ts';
import { clientSignRequestCommand } from './client-sign-request.ts';

interface AddOptions extends NewClientOptions {
  key: string[];
  may: Operation[];
  scheme?: string[];
  out?: string;
}

type Operation = z.infer<typeof keyUseSchema>;

/** One or more words of a list. They come as `one,other`, or the option is repeated. */
const wordsOf =
  <Word extends string>(schema: z.ZodType<Word>, usage: string) =>
  (text: string, before: Word[] = []): Word[] => {
    const parsed = z.array(schema).safeParse(text.split(','));
    if (!parsed.success) throw new InvalidArgumentError(usage);
    return [...new Set([...before, ...parsed.data])].sort();
  };
const operations = wordsOf(keyUseSchema, 'write it as sign, decrypt or sign,decrypt.');
const schemes = wordsOf(
  z.enum(kindNames().flatMap((name) => kindNamed(name).operations.sign?.schemes ?? [])),
  'write it as pkcs1, pss or pkcs1,pss.',
);

const addCommand = (): Command =>
  withNewClient(withOrder(new Command('add')))
    .description('list a new client with its rights; its key is written to a file, sealed with a passphrase')
    .argument('<name>')
    .requiredOption('--key <name>', 'a key that it may use, or * for all (repeat for several)', collect)
    .requiredOption('--may <operation>', 'what it may do: sign, decrypt, or both as sign,decrypt', operations)
    .option('--scheme <scheme>', 'signatures of this kind only: pkcs1 or pss (default: both)', schemes)
    .option('--out <file>', "where the client's key goes (default: the home's clients/NAME.key)")
    .action(async (name: string, _, command: Command) => {
      const { key: keys, may, scheme, out, ...options } = optionsOf<AddOptions>(command);
      const limited = scheme === undefined ? {} : { schemes: scheme };
      const rights = keys.map((key) => ({ key, operations: may, ...limited }));
      let words = '';
      await runOrder(
        command,
        async (head, daemon, home): Promise<Decided> => {
          checkName('client', name);
          for (const key of keys) {
            const listed = head.keys.find((one) => one.name === key);
            if (key !== '*' && listed === undefined)
              throw new CommandError('refused', `there is no key named ${key}; see holdfast key list`);
            if (listed !== undefined && !may.includes(listed.use))
              warn(`key ${key} is to ${listed.use} with only: this client will have no use for it`);
          }
          const client = planClient(head, home, { name, rights, out, options });
          words = client.words();
          if (client.listed) return listedSince(head, daemon, name);
          return {
            make: async () => {
              await client.ask();
              return [{ type: 'add-client', client: await client.make(head.lastOrder + 1) }];
            },
            undo: client.undo,
          };
        },
        () => words,
      );
    });

const removeCommand = (): Command =>
  withOrder(new Command('remove'))
    .description('take a client off the list')
    .argument('<name>')
    .action(async (name: string, _, command: Command) => {
      await runOrder(
        command,
        async (head, daemon): Promise<Decided> => {
          const listed = ({ clients }: Value): boolean => clients.some((client) => client.name === name);
          if (listed(head)) return [{ type: 'remove-client', name }];
          const gone = await goneSince(head, daemon, listed);
          if (gone !== null) return gone;
          throw new CommandError('refused', `there is no client named ${name}; see holdfast client list`);
        },
        () => `client ${name} is removed`,
      );
    });

const listCommand = (): Command =>
  new Command('list').description('clients and what they may do').action(async (_, command: Command) => {
    const head = await withDaemon(command, (daemon, home) =>
      new VerifiedChain(knownGroup(home), daemon).head(),
    );
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
        client.ratePerMinute === 0 ? 'unlimited' : `${client.ratePerMinute}/min`,
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
