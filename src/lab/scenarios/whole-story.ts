import type { SignatureScheme } from '../../keys/rsa/public-forms.ts';
import { limits } from '../../protocol/records/limits.ts';
import type { KeyRecord } from '../../protocol/records/value.ts';
import type { Lab } from '../lab.ts';
import { check, type Scenario, untilConnected, untilShare } from '../scenario.ts';
import { SigningProgram } from '../signing-program.ts';
import { sharesSign, stolenShares } from '../stolen-shares.ts';
import { falsifyShares } from '../tampering.ts';

const message = 'The quick brown fox jumps over the lazy dog.\n';
const founders = ['a', 'b', 'c', 'd', 'e'];
/** The lying peer is asked in fewer signatures than this. */
const signaturesMax = 40;

async function newestEpochView(lab: Lab) {
  const [epoch] = await lab.api('a').epochs(1);
  if (epoch === undefined) throw new Error('a member knows its newest epoch');
  return lab.api('a').epoch(epoch.epoch);
}

/** The key as the newest value has it. */
async function keyRecord(lab: Lab): Promise<KeyRecord> {
  const { epoch } = await lab.api('a').status();
  const [link] = await lab.api('a').links(epoch ?? 0);
  const [record] = link?.value.keys ?? [];
  if (record === undefined) throw new Error('the newest value holds the key');
  return record;
}

/** The shares that a thief of all these peers' folders would find now. */
async function sharesOf(
  lab: Lab,
  names: readonly string[],
  key: KeyRecord,
  epoch: number,
): Promise<bigint[]> {
  const all = await Promise.all(names.map((name) => stolenShares(lab.peer(name).home, key.id)));
  return all.map((byEpoch) => byEpoch.get(epoch) as bigint);
}

/** The story that `scripts/demo` tells. */
export const wholeStory: Scenario = {
  name: 'whole-story',
  about: 'a key signs, its shares are refreshed and stolen, a peer lies, peers stop, come, and go',
  group: { peers: 5, threshold: 3, ciphers: ['aes', 'blowfish', 'des', '3des', 'xchacha20'] },
  machines: 0,
  steps: () => {
    let program: SigningProgram;
    let expected: Buffer;
    let old: Awaited<ReturnType<typeof newestEpochView>>;
    let key: KeyRecord;
    let stolen: bigint[];

    /** Signs the message at a peer, and has OpenSSL verify the signature. Gives the raw signature. */
    async function signAndVerify(lab: Lab, name: string, scheme: SignatureScheme): Promise<Buffer> {
      const signature = await lab.sign(name, 'ca', message, ['--scheme', scheme]);
      const padding = scheme === 'pss' ? ['-sigopt', 'rsa_padding_mode:pss'] : [];
      check(
        program.opensslVerdict(message, signature, padding) === 'Verified OK',
        'OpenSSL accepts the signature',
      );
      return signature;
    }
    const signsTheSame = async (lab: Lab, name: string, claim: string): Promise<void> =>
      check((await signAndVerify(lab, name, 'pkcs1')).equals(expected), claim);
    const sign = (lab: Lab, shares: ReadonlyArray<readonly [number, bigint]>): boolean =>
      sharesSign(key, lab.options.membersMax ?? limits.membersDefault, new Map(shares));

    return [
      {
        title: 'three peers sign, OpenSSL verifies',
        claim: 'OpenSSL accepts the signatures, PKCS#1 and PSS',
        run: async (lab) => {
          program = await SigningProgram.of(lab, 'ca');
          expected = await signAndVerify(lab, 'b', 'pkcs1');
          await signAndVerify(lab, 'c', 'pss');
        },
      },
      {
        title: 'refresh: every peer gets a new share',
        claim: 'all 5 shares changed, and the old ones are erased',
        run: async (lab, tell) => {
          const before = await newestEpochView(lab);
          key = await keyRecord(lab);
          stolen = await sharesOf(lab, founders, key, before.epoch);
          await lab.must('a', ['refresh', '--wait']);
          old = await newestEpochView(lab);
          const hashes = new Set(before.verificationKeys.map(({ hash }) => hash));
          check(old.epoch > before.epoch, 'there is a new epoch');
          check(old.verificationKeys.length === 5, 'every peer has a verification key');
          check(
            old.verificationKeys.every(({ hash }) => !hashes.has(hash)),
            'every share changed',
          );
          tell(`epoch ${old.epoch}`);
        },
      },
      {
        title: 'an intruder holds shares that it stole before the refresh',
        claim: 'two stolen shares of the old epoch and one of the new sign nothing: old shares are useless',
        run: async (lab) => {
          await lab.untilEpoch(old.epoch);
          const fresh = await sharesOf(lab, founders, key, old.epoch);
          /** Shares of three members. The first `ofThem` are stolen ones. */
          const mixed = (ofThem: number) =>
            [0, 1, 2].map((at) => [at + 1, (at < ofThem ? stolen[at] : fresh[at]) as bigint] as const);
          check(sign(lab, mixed(0)), 'three shares of the new epoch sign');
          check(sign(lab, mixed(3)), 'three shares of the old epoch would have signed');
          check(!sign(lab, mixed(2)), 'two old shares and a new one sign nothing');
          check(!sign(lab, mixed(1)), 'one old share and two new ones sign nothing');
        },
      },
      {
        title: 'the same key signs with the new shares',
        claim: 'same public key, and the PKCS#1 signature is the same byte for byte',
        run: async (lab) => {
          const shown = (await lab.must('d', ['key', 'public', 'ca'])).toString('utf8');
          check(shown === program.pem, 'the public key is the same');
          await signsTheSame(lab, 'd', 'the PKCS#1 signature is the same');
        },
      },
      {
        title: 'a peer lies: what e computes with its share is false',
        claim: 'a peer lied: the signature was true all the same, and the liar is named',
        run: async (lab, tell) => {
          await lab.stop('e');
          await falsifyShares(lab.peer('e').home);
          await lab.start('e');
          await untilConnected(lab, founders);
          for (let turn = 0; turn < signaturesMax; turn += 1) {
            // Three of five are asked, and the liar is not always among them.
            const asked = founders[turn % 4] as string;
            await signsTheSame(lab, asked, 'no false signature leaves the group');
            const { problems } = await lab.api(asked).status();
            const named = problems.find(
              ({ code, what }) => code === 'false-partial' && what.startsWith('e '),
            );
            if (named !== undefined) return tell(`${asked}: ${named.what}`);
          }
          throw new Error(`e was not named in ${signaturesMax} signatures`);
        },
      },
      {
        title: 'the next refresh finds the false share',
        claim: 'the others gave e a true share again',
        run: async (lab, tell) => {
          await lab.must('a', ['refresh', '--wait']);
          const { epoch } = await newestEpochView(lab);
          await untilShare(lab, 'e', epoch);
          const three = ['a', 'b', 'e'];
          const shares = await sharesOf(lab, three, key, epoch);
          const held = three.map((name, at) => [founders.indexOf(name) + 1, shares[at] as bigint] as const);
          check(sign(lab, held), 'the share that e has now signs with two others');
          tell(`epoch ${epoch}`);
        },
      },
      {
        title: 'two peers are stopped',
        claim: 'with two of five peers gone, signing goes on',
        run: async (lab) => {
          await lab.stop('d');
          await lab.kill('e');
          await signAndVerify(lab, 'a', 'pkcs1');
        },
      },
      {
        title: 'a third one is stopped',
        claim: 'two peers sign nothing, and the answer names who is missing (exit code 4)',
        run: async (lab, tell) => {
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
          tell(stderr.trim());
        },
      },
      {
        title: 'all come back',
        claim: 'restarted peers take part in signing and in the next refresh',
        run: async (lab) => {
          await Promise.all(['c', 'd', 'e'].map((name) => lab.start(name)));
          await signAndVerify(lab, 'e', 'pss');
          await lab.must('e', ['refresh', '--wait']);
          await signsTheSame(lab, 'c', 'the signature is still the same');
        },
      },
      {
        title: 'a sixth peer joins while refreshes run',
        claim: 'a sixth peer was admitted, was given its share by the others, and signs',
        run: async (lab) => {
          await lab.join('f');
          await lab.start('f');
          await lab.api('b').refresh();
          await lab.admit(['f']);
          await untilShare(lab, 'f');
          await signsTheSame(lab, 'f', 'the newcomer signs with the others');
        },
      },
      {
        title: 'one is killed, misses a refresh, and comes back',
        claim:
          'a peer that missed a refresh has a share of the newest epoch again, and nobody typed anything',
        run: async (lab) => {
          await lab.kill('c');
          await lab.must('a', ['refresh', '--wait']);
          await lab.start('c');
          await untilShare(lab, 'c', (await newestEpochView(lab)).epoch);
        },
      },
      {
        title: 'one is evicted',
        claim: 'one peer was evicted; the others go on with the same key',
        run: async (lab, tell) => {
          await lab.must('a', ['evict', 'e', '--yes', 'e']);
          const { members } = await newestEpochView(lab);
          check(!members.includes('e'), 'e is no member any more');
          await signsTheSame(lab, 'b', 'the signature is still the same');
          tell(`members: ${members.join(', ')}`);
        },
      },
    ];
  },
};
