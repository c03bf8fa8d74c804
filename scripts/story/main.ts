/** The whole story on one machine: `scripts/demo [--keep]`. Every claim that it prints was just checked. */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Lab } from '../../src/lab/lab.ts';
import { check, untilConnected, untilShare } from '../../src/lab/scenario.ts';
import { SigningProgram } from '../../src/lab/signing-program.ts';
import { falsifyShares } from '../../src/lab/tampering.ts';
import type { KeyRecord } from '../../src/protocol/records/value.ts';
import { sharesSign, stolenShares } from '../../test/support/stolen-shares.ts';

const { values: options } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
const ciphers = ['aes', 'blowfish', 'des', '3des', 'xchacha20'] as const;
const bits = 3072;
/** Of a cluster, unless told otherwise. */
const membersMax = 20;

const write = (text: string): void => void process.stdout.write(text);
const proven: string[] = [];

/** Runs one part of the story; what it returns is a claim for the summary. */
async function step(title: string, run: () => Promise<string>): Promise<void> {
  write(`\n── ${title}\n`);
  const startedAtMs = performance.now();
  const claim = await run();
  proven.push(claim);
  write(`   ${claim} (${((performance.now() - startedAtMs) / 1000).toFixed(1)} s)\n`);
}

const lab = await Lab.create({ peers: 5, threshold: 3, ciphers, outlives: options.keep }).catch(
  (error: Error) => {
    process.stderr.write(`the group could not be started: ${error.message}\n`);
    process.exit(1);
  },
);
process.once('SIGINT', () => process.exit(130));

const file = (name: string): string => join(lab.dir, name);
/** More than it takes until a peer that lies was asked. */
const signaturesMax = 40;
const message = 'The quick brown fox jumps over the lazy dog.\n';

/** Knows the key once there is one. */
let program: SigningProgram;

/** Signs the message at a peer and has OpenSSL verify it; the raw signature. */
async function signAndVerify(name: string, scheme: 'pkcs1' | 'pss'): Promise<Buffer> {
  const signature = await lab.sign(name, 'ca', message, ['--scheme', scheme]);
  const padding = scheme === 'pss' ? ['-sigopt', 'rsa_padding_mode:pss'] : [];
  check(
    program.opensslVerdict(message, signature, padding) === 'Verified OK',
    'OpenSSL accepts the signature',
  );
  return signature;
}

/** The key as the newest value has it. */
async function keyRecord(): Promise<KeyRecord> {
  const { epoch } = await lab.api('a').status();
  const [link] = await lab.api('a').links(epoch ?? 0);
  const [record] = link?.value.keys ?? [];
  if (record === undefined) throw new Error('the newest value holds the key');
  return record;
}

/** What a thief of all their folders would find now. */
async function currentShares(names: readonly string[], key: KeyRecord, epoch: number): Promise<bigint[]> {
  const all = await Promise.all(names.map((name) => stolenShares(lab.peer(name).home, key.id)));
  return all.map((byEpoch) => byEpoch.get(epoch) as bigint);
}

const publicKey = (name: string): Promise<Buffer> => lab.must(name, ['key', 'public', 'ca']);

async function story(): Promise<void> {
  write(`Five daemons are up in ${lab.dir}, one for each local cipher: ${ciphers.join(', ')}.\n`);
  write((await lab.must('a', ['status'])).toString('utf8'));
  proven.push('five peers with five different local ciphers founded a group; any 3 of them can use its keys');

  await step(`an RSA-${bits} key is created (two safe primes are searched)`, async () => {
    await lab.createKey('ca', bits);
    program = await SigningProgram.of(lab, 'ca');
    return `an RSA-${bits} key exists that no machine holds`;
  });

  let before: Buffer = Buffer.alloc(0);
  await step('three peers sign, OpenSSL verifies', async () => {
    before = await signAndVerify('b', 'pkcs1');
    await signAndVerify('c', 'pss');
    return 'OpenSSL accepts the signatures, PKCS#1 and PSS';
  });

  const newest = async () => {
    const [epoch] = await lab.api('a').epochs(1);
    if (epoch === undefined) throw new Error('a member knows its newest epoch');
    return lab.api('a').epoch(epoch.epoch);
  };
  const founders = ['a', 'b', 'c', 'd', 'e'];
  let old = await newest();
  let stolen: bigint[] = [];
  const key = await keyRecord();
  await step('refresh: every peer gets a new share', async () => {
    stolen = await currentShares(founders, key, old.epoch);
    await lab.must('a', ['refresh', '--wait']);
    const fresh = await newest();
    const hashes = new Set(old.verificationKeys.map(({ hash }) => hash));
    check(fresh.epoch > old.epoch, 'there is a new epoch');
    check(fresh.verificationKeys.length === 5, 'every peer has a verification key');
    check(
      fresh.verificationKeys.every(({ hash }) => !hashes.has(hash)),
      'every share changed',
    );
    old = fresh;
    return `epoch ${fresh.epoch}: all 5 shares changed, and the old ones are erased`;
  });

  await step('an intruder holds shares that it stole before the refresh', async () => {
    await lab.untilEpoch(old.epoch);
    const fresh = await currentShares(founders, key, old.epoch);
    const mixed = ([first, second, third]: [boolean, boolean, boolean]): Map<number, bigint> =>
      new Map(
        [first, second, third].map((isOld, at) => [at + 1, (isOld ? stolen[at] : fresh[at]) as bigint]),
      );
    check(sharesSign(key, membersMax, mixed([false, false, false])), 'three shares of the new epoch sign');
    check(
      sharesSign(key, membersMax, mixed([true, true, true])),
      'three shares of the old epoch would have signed',
    );
    check(
      !sharesSign(key, membersMax, mixed([true, true, false])),
      'two old shares and a new one sign nothing',
    );
    check(
      !sharesSign(key, membersMax, mixed([true, false, false])),
      'one old share and two new ones sign nothing',
    );
    return 'two stolen shares of the old epoch and one of the new sign nothing: old shares are useless';
  });

  await step('the same key signs with the new shares', async () => {
    check((await publicKey('d')).toString('utf8') === program.pem, 'the public key is the same');
    check((await signAndVerify('d', 'pkcs1')).equals(before), 'the PKCS#1 signature is the same');
    return 'same public key, and the PKCS#1 signature is the same byte for byte';
  });

  await step('a peer lies: what e computes with its share is false', async () => {
    await lab.stop('e');
    await falsifyShares(lab.peer('e').home);
    await lab.start('e');
    await untilConnected(lab, founders);
    for (let turn = 0; turn < signaturesMax; turn += 1) {
      // Three of five are asked, and not always the liar among them.
      const asked = founders[turn % 4] as string;
      check((await signAndVerify(asked, 'pkcs1')).equals(before), 'no false signature leaves the group');
      const { problems } = await lab.api(asked).status();
      const named = problems.find(({ code, what }) => code === 'false-partial' && what.startsWith('e '));
      if (named === undefined) continue;
      write(`   ${asked}: ${named.what}\n`);
      return 'a peer lied: the signature was true all the same, and the liar is named';
    }
    throw new Error(`e was not named in ${signaturesMax} signatures`);
  });

  await step('the next refresh finds the false share', async () => {
    await lab.must('a', ['refresh', '--wait']);
    const { epoch } = await newest();
    await untilShare(lab, 'e', epoch);
    const three = ['a', 'b', 'e'];
    const shares = await currentShares(three, key, epoch);
    const held = three.map((name, at) => [founders.indexOf(name) + 1, shares[at] as bigint] as const);
    check(sharesSign(key, membersMax, new Map(held)), 'the share that e has now signs with two others');
    return `epoch ${epoch}: the others gave e a true share again`;
  });

  await step('two peers are stopped', async () => {
    await lab.stop('d');
    await lab.kill('e');
    await signAndVerify('a', 'pkcs1');
    return 'with two of five peers gone, signing goes on';
  });

  await step('a third one is stopped', async () => {
    await lab.stop('c');
    const { code, stdout, stderr } = await lab.run(
      'a',
      ['sign', '--key', 'ca', '--client', lab.clientFile('ca'), '--timeout', '4s'],
      message,
    );
    check(code === 4 && stdout.length === 0, 'nothing is signed by fewer than three');
    check(
      ['c', 'd', 'e'].every((name) => new RegExp(`\\b${name}\\b`).test(stderr)),
      'the missing peers are named',
    );
    write(`   ${stderr.trim()}\n`);
    return 'two peers sign nothing, and the answer names who is missing (exit code 4)';
  });

  await step('all come back', async () => {
    await Promise.all(['c', 'd', 'e'].map((name) => lab.start(name)));
    await signAndVerify('e', 'pss');
    await lab.must('e', ['refresh', '--wait']);
    check((await signAndVerify('c', 'pkcs1')).equals(before), 'the signature is still the same');
    return 'restarted peers take part in signing and in the next refresh';
  });

  await step('a sixth peer joins while refreshes run', async () => {
    await lab.join('f');
    await lab.start('f');
    await lab.api('b').refresh();
    await lab.admit(['f']);
    await untilShare(lab, 'f');
    check((await signAndVerify('f', 'pkcs1')).equals(before), 'the newcomer signs with the others');
    return 'a sixth peer was admitted, was given its share by the others, and signs';
  });

  await step('one is killed, misses a refresh, and comes back', async () => {
    await lab.kill('c');
    await lab.must('a', ['refresh', '--wait']);
    await lab.start('c');
    await untilShare(lab, 'c', (await newest()).epoch);
    return 'a peer that missed a refresh has a share of the newest epoch again, and nobody typed anything';
  });

  await step('one is evicted', async () => {
    await lab.must('a', ['evict', 'e', '--yes', 'e']);
    const { members } = await newest();
    check(!members.includes('e'), 'e is no member any more');
    check((await signAndVerify('b', 'pkcs1')).equals(before), 'the signature is still the same');
    return `one peer was evicted; ${members.join(', ')} go on with the same key`;
  });
}

try {
  await story();
  write('\nProven:\n');
  for (const claim of proven) write(`  ✓ ${claim}\n`);
  if (options.keep) await leave();
  else await lab.close();
} catch (error) {
  process.stderr.write(`\n${(error as Error).message}\n${lab.logs()}\n`);
  process.exitCode = 1;
  await lab.close();
}

/** Says how to talk to the group that stays. */
async function leave(): Promise<void> {
  const pids = [...lab.peers.values()].map((peer) => peer.pid);
  await lab.release();
  write('\nThe group goes on. Talk to it, for example:\n');
  write(`  export HOLDFAST_HOME=${file('a')} CREDENTIALS_DIRECTORY=${lab.credentials}\n`);
  write('  ./scripts/holdfast status\n');
  write(`  echo hello | ./scripts/holdfast sign --key ca > signature\n`);
  write(`and end it with:\n  kill ${pids.join(' ')} && rm -r ${lab.dir}\n`);
}
