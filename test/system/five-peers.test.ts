/**
 * One group of five, 3 of 5, RSA-3072, every peer with another local cipher, put to use for claim after
 * claim.
 */

import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodePkcs1 } from '../../src/keys/rsa/encoding.ts';
import { parametersOf, publicOf } from '../../src/keys/rsa/setting.ts';
import { combine, partial } from '../../src/keys/rsa/signing.ts';
import { Lab } from '../../src/lab/lab.ts';
import { SigningProgram } from '../../src/lab/signing-program.ts';
import type { EpochView } from '../../src/node/views/view.ts';
import { readyPrimes, subsetsOf } from '../../src/simulation/world/sample-keys.ts';
import { rounds } from '../support/rounds.ts';
import { hashesOf, refresh, sealedFiles, startAndRecall, stolenShares, untilProblem } from './support.ts';

/** Any will do where nobody measures. */
const blinding = new Uint8Array(16);

const ciphers = ['aes', 'blowfish', 'des', '3des', 'xchacha20'] as const;
const message = 'A message that is signed in every epoch.\n';
const refreshes = rounds({ usually: 6, all: 20 });
const patienceMs = 180_000;

describe('five daemons in five processes', { timeout: patienceMs }, () => {
  let lab: Lab;
  let program: SigningProgram;
  let before: Uint8Array;

  beforeAll(async () => {
    const settings = { dealingWindowMs: 300, roundTimeoutMs: 500 };
    lab = await Lab.create({ peers: 5, threshold: 3, ciphers, settings });
    await lab.createKey('ca', readyPrimes(3072));
    program = await SigningProgram.of(lab, 'ca');
  }, patienceMs);
  afterAll(() => lab?.close());

  const newest = async (name = 'a'): Promise<number> => (await lab.api(name).status()).epoch ?? Number.NaN;

  test('find each other through one lobby address, each with another local cipher, and hold an RSA-3072 key', async () => {
    const found: string[] = [];
    for (const name of lab.names)
      found.push(
        await lab.until(name, async (api) => {
          const { connected, cipher, keys } = await api.status();
          return connected.length === 4 && keys === 1 ? cipher : null;
        }),
      );
    expect(found.toSorted()).toEqual([...ciphers].toSorted());
    expect(new Set([...lab.peers.values()].map(({ pid }) => pid)).size).toBe(5);
    expect(program.publicKey.asymmetricKeyDetails?.modulusLength).toBe(3072);
  });

  test('sign what OpenSSL accepts, PKCS#1 and PSS', async () => {
    before = await lab.sign('b', 'ca', message);
    expect(program.opensslVerdict(message, before)).toBe('Verified OK');
    const pss = await lab.sign('c', 'ca', message, ['--scheme', 'pss']);
    expect(program.opensslVerdict(message, pss, ['-sigopt', 'rsa_padding_mode:pss'])).toBe('Verified OK');
  });

  test('sign with any two stopped, and the same bytes whoever signs', async () => {
    for (const [away, asked] of [
      [['b', 'c'], 'a'],
      [['d', 'e'], 'b'],
    ] as const) {
      await Promise.all(away.map(lab.stop));
      const { signature, signers } = await program.sign(asked, message);
      expect(signers.toSorted()).toEqual(lab.names.filter((name) => !away.includes(name as never)));
      expect(Buffer.from(signature).equals(before)).toBe(true);
      // The next test goes on with d and e stopped.
      if (asked === 'a') await startAndRecall(lab, away);
    }
  });

  test('wait with a refresh while two are stopped, say so, go on signing, and finish by themselves', async () => {
    const epoch = await newest();
    await lab.api('a').refresh();
    await untilProblem(lab, 'a', 'refresh-waits', /it needs 4 of 5 members to attend; missing: d, e\.$/);
    const shown = (await lab.must('a', ['status'])).toString('utf8');
    expect(shown).toContain(`The change to epoch ${epoch + 1} waits`);
    expect(Buffer.from((await program.sign('a', message)).signature).equals(before)).toBe(true);
    expect(await newest()).toBe(epoch);
    await startAndRecall(lab, ['d', 'e']);
    await lab.untilEpoch(epoch + 1);
  });

  test('do not sign with three stopped: exit code 4 at the --timeout, saying who is missing', async () => {
    await Promise.all(['c', 'd', 'e'].map(lab.stop));
    const startedAtMs = performance.now();
    const { code, stdout, stderr } = await lab.run('a', ['sign', '--key', 'ca', '--timeout', '2s'], message);
    expect(code).toBe(4);
    expect(stdout).toHaveLength(0);
    expect(stderr).toMatch(/missing: .*\bc\b.*\bd\b.*\be\b/);
    expect(stderr.trim().split('\n')).toHaveLength(1);
    expect(performance.now() - startedAtMs).toBeLessThan(20_000);
    await startAndRecall(lab, ['c', 'd', 'e']);
  });

  test(`replace all shares ${refreshes} times under one public key: every v_i and every sealed record changes`, async () => {
    const seenHashes = new Set<string>();
    const seenFiles = new Map(lab.names.map((name) => [name, new Set<string>()]));
    const look = async (epoch: EpochView): Promise<void> => {
      expect(epoch.verificationKeys.map(({ member }) => member)).toEqual(lab.names);
      for (const hash of hashesOf(epoch)) expect(seenHashes.has(hash)).toBe(false);
      for (const hash of hashesOf(epoch)) seenHashes.add(hash);
      for (const [name, seen] of seenFiles) {
        const files = await lab.until(name, async () =>
          unlessMoved(() => sealedFiles(lab.peer(name).home), seen),
        );
        for (const file of files) seen.add(file);
      }
    };
    const start = await newest();
    await look(await lab.api('a').epoch(start));
    for (let round = 0; round < refreshes; round += 1) {
      const at = lab.names[round % 5] ?? 'a';
      const epoch = await refresh(lab, at);
      await look(epoch);
      expect(epoch.dealt.length).toBeGreaterThanOrEqual(3);
      expect([...epoch.dealt, ...epoch.didNotDeal, ...epoch.missing].toSorted()).toEqual(lab.names);
      const { signature, epoch: signedIn } = await program.sign(at, message);
      expect(signedIn).toBeGreaterThanOrEqual(epoch.epoch);
      expect(Buffer.from(signature).equals(before)).toBe(true);
    }
    const { epochs } = JSON.parse(
      (await lab.must('e', ['epochs', '--json', '--limit', '100'])).toString('utf8'),
    );
    const changes = (epochs as EpochView[]).filter(({ epoch }) => epoch > start);
    expect(changes.length).toBeGreaterThanOrEqual(refreshes);
    for (const { dealt } of changes) expect(dealt.length).toBeGreaterThanOrEqual(3);
    expect((await lab.must('d', ['key', 'public', 'ca'])).toString('utf8')).toBe(program.pem);
    const fresh = await lab.sign('d', 'ca', 'another message\n');
    expect(program.opensslVerdict('another message\n', fresh)).toBe('Verified OK');
  });

  test('shares of one epoch sign, any mixture of two epochs does not, and the older ones are gone', async () => {
    const epoch = await newest();
    const [link] = await lab.api('a').links(epoch);
    const [key] = link?.value.keys ?? [];
    if (link === undefined || key === undefined) throw new Error('the newest value has the key');
    const steal = async (wanted: number): Promise<Map<number, bigint>> => {
      const shares = new Map<number, bigint>();
      for (const name of lab.names) {
        const { index } = await lab.api(name).status();
        const stolen = await lab.until(name, async () => {
          const found = await stolenShares(lab, name, key.id);
          return found.has(wanted) && found.size === 1 ? found : null;
        });
        shares.set(index ?? 0, stolen.get(wanted) ?? 0n);
      }
      return shares;
    };
    const old = await steal(epoch);
    await refresh(lab, 'a');
    const fresh = await steal(epoch + 1);

    const parameters = parametersOf({ public: key.public, threshold: 3, membersMax: 20 });
    const block = encodePkcs1(
      'sha256',
      createHash('sha256').update(message).digest(),
      parameters.modulusBits,
    );
    const shared = publicOf(key.public);
    const partials = [old, fresh].map(
      (shares) =>
        new Map(
          [...shares].map(([index, share]) => [
            index,
            partial({ key: shared, parameters, share, block, blinding }),
          ]),
        ),
    );
    const signature = BigInt(`0x${Buffer.from(before).toString('hex')}`);
    let mixtures = 0;
    for (const members of subsetsOf([1, 2, 3, 4, 5], 3)) {
      for (let choice = 0; choice < 8; choice += 1) {
        const epochs = members.map((_, at) => (choice >> at) & 1);
        const given = new Map(
          members.map((index, at) => [index, partials[epochs[at] ?? 0]?.get(index) ?? 0n]),
        );
        const made = combine({ key: shared, parameters, block, partials: given });
        const mixed = new Set(epochs).size > 1;
        expect(made).toBe(mixed ? null : signature);
        if (mixed) mixtures += 1;
      }
    }
    expect(mixtures).toBe(60);
  });

  const instants: [string, string[]][] = [
    ['is being decided', ['agreeing', 'applying', 'retiring']],
    ['has begun', ['gathering', 'dealing', 'agreeing']],
  ];
  test.each(instants.slice(0, rounds({ usually: 1, all: 2 })))(
    'all killed at once when a refresh %s: after the restart it completes under the same key',
    async (_, phases) => {
      let asked = await newest('b');
      await lab.api('a').refresh();
      // What another peer shows has left peer a, so it is durable there.
      const changing = await lab.until('b', async (api) => {
        const { change, epoch } = await api.status();
        if (change?.attending.includes('a') && phases.includes(change.phase)) return change.epoch;
        // It was over between two looks.
        if (change === null && epoch !== null && epoch > asked) {
          asked = epoch;
          await lab.api('a').refresh();
        }
        return null;
      });
      for (const peer of lab.peers.values()) peer.killNow();
      await Promise.all(lab.names.map(lab.kill));
      await Promise.all(lab.names.map(lab.start));
      await lab.untilEpoch(changing);
      expect(Buffer.from((await program.sign('e', message)).signature).equals(before)).toBe(true);
    },
  );
});

/** The sealed files once all of them are new; null while the peer is still replacing them. */
function unlessMoved(look: () => Set<string>, seen: ReadonlySet<string>): Set<string> | null {
  try {
    const files = look();
    return [...files].some((file) => seen.has(file)) ? null : files;
  } catch {
    return null;
  }
}
