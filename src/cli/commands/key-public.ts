import { Command, Option } from 'commander';
import { publicKeyJwk, publicKeyPem, publicKeySsh } from '../../crypto/public-key-formats.ts';
import { optionsOf, withDaemon } from '../context.ts';
import { findKey, publicKeyOf } from '../keys.ts';
import { say } from '../terminal.ts';

export const keyPublicCommand = (): Command =>
  new Command('public')
    .description('the public key, as other programs read it')
    .argument('<name>')
    .addOption(new Option('--format <format>').choices(['pem', 'jwk', 'ssh']).default('pem'))
    .action(async (name: string, _, command: Command) => {
      const { format } = optionsOf<{ format: 'pem' | 'jwk' | 'ssh' }>(command);
      const key = publicKeyOf(await withDaemon(command, (daemon) => findKey(daemon, name)));
      if (format === 'pem') say(publicKeyPem(key).trimEnd());
      else if (format === 'jwk') say(JSON.stringify({ ...publicKeyJwk(key), kid: name }));
      else say(publicKeySsh(key, name));
    });
