import { Command, Option } from 'commander';
import { kindNamed } from '../../keys/kinds.ts';
import { optionsOf, withApi } from '../context.ts';
import { asClientOf } from '../keys.ts';
import { say, sayJson } from '../terminal.ts';

export const keyPublicCommand = (): Command =>
  new Command('public')
    .description('the public key, as other programs read it; with --json in all formats')
    .argument('<name>')
    .addOption(new Option('--format <format>').choices(['pem', 'jwk', 'ssh']).default('pem'))
    .action(async (name: string, _, command: Command) => {
      const { format, json } = optionsOf<{ format: 'pem' | 'jwk' | 'ssh' }>(command);
      const found = await withApi(command, (daemon) => asClientOf(command, daemon).key(name));
      const forms = kindNamed(found.kind).publicForms(found.public);
      const { pem } = forms;
      const jwk = { ...forms.jwk, kid: name };
      const ssh = `${forms.ssh} ${name}`;
      if (json) sayJson({ ...found.listed, pem, jwk, ssh });
      else say({ pem: pem.trimEnd(), jwk: JSON.stringify(jwk), ssh }[format]);
    });
