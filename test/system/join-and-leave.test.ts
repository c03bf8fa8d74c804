/** Peers come and go while a group refreshes and signs: joining, being told to wait, eviction, replacing everybody. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setInterval } from 'node:timers/promises';
import { noise } from '@chainsafe/libp2p-noise';
import { tcp } from '@libp2p/tcp';
import { byteStream } from '@libp2p/utils';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trialBlock } from '../../src/crypto/encoding.ts';
import { combine, partial } from '../../src/crypto/signing.ts';
import { Lab } from '../../src/lab/lab.ts';
import { openHome } from '../../src/node/home.ts';
import { protocolIds } from '../../src/node/network/constants.ts';
import { identityFromBytes } from '../../src/node/network/identity.ts';
import { parametersOf } from '../../src/node/sealing.ts';
import { publicOf } from '../../src/protocol/value.ts';
import { Client, readyPrimes, refresh, stolenShares, subsets } from './support.ts';

const message = 'Signed by whoever is there.\n';
const patienceMs = 180_000;
/** Of each of two clients. */
const signEveryMs = 200;

/** Waits until a daemon's debug log has a line of this rule; the line. */
const untilRule = (lab: Lab, name: string, rule: string): Promise<{ to?: number; for?: number }> =>
  lab.until(name, async () => rulesOf(lab, name, rule).at(-1) ?? null);

const rulesOf = (lab: Lab, name: string, rule: string): Array<{ epoch: number; to?: number; for?: number }> =>
  readFileSync(lab.peer(name).logFile, 'utf8')
    .split('\n')
    .filter((line) => line.includes(`"rule":"${rule}"`))
    .map((line) => JSON.parse(line));

const untilShare = (lab: Lab, name: string): Promise<number> =>
  lab.until(name, async (api) => {
    const { epoch, shareEpochs } = await api.status();
    return epoch !== null && shareEpochs.includes(epoch) ? epoch : null;
  });

describe('a group of five that refreshes every two seconds', { timeout: patienceMs }, () => {
  let lab: Lab;
  let client: Client;

  beforeAll(async () => {
    const settings = {
      refreshPeriodMs: 2000,
      dealingWindowMs: 300,
      roundTimeoutMs: 500,
      recoveryHoldMs: 8000,
    };
    lab = await Lab.create({ peers: 5, threshold: 3, settings });
    await lab.createKey('ca', readyPrimes(2048));
    client = await Client.of(lab, 'ca');
  }, patienceMs);
  afterAll(() => lab?.close());

  const epochOf = async (name: string): Promise<number> => (await lab.api(name).status()).epoch ?? -1;

  it('takes a sixth and a seventh member while it signs: no signature fails, and epochs go on', async () => {
    const before = await epochOf('a');
    let joining = true;
    let signed = 0;
    const keepSigning = async (at: string): Promise<void> => {
      for await (const _ of setInterval(signEveryMs)) {
        if (!joining) return;
        const data = `${at}, message ${signed}`;
        const { signature } = await client.sign(at, data);
        if (!client.accepts(data, signature)) throw new Error(`the signature of "${data}" does not verify`);
        signed += 1;
      }
    };
    const grow = async (): Promise<void> => {
      for (const name of ['f', 'g']) {
        await lab.join(name);
        await lab.start(name);
        await lab.admit([name]);
        await untilShare(lab, name);
      }
    };
    await Promise.all([
      grow().finally(() => {
        joining = false;
      }),
      keepSigning('b'),
      keepSigning('d'),
    ]);
    expect(signed).toBeGreaterThan(10);
    // Two admissions, and refreshes between them.
    expect(await epochOf('a')).toBeGreaterThan(before + 2);
    expect((await lab.api('g').status()).members).toBe(7);
  });

  it('held the next change back while a newcomer was given its share, and its log says so', async () => {
    const held = ['a', 'b', 'c', 'd', 'e'].flatMap((name) => rulesOf(lab, name, 'recover-hold'));
    expect(new Set(held.map((line) => line.for))).toEqual(new Set([6, 7]));
  });

  it('signs by a set of three with both newcomers in it', async () => {
    const away = ['a', 'b', 'c', 'd'];
    for (const name of away) lab.pause(name);
    const { signature, signers } = await client.sign('f', message).finally(() => away.forEach(lab.resume));
    expect(signers.toSorted()).toEqual(['e', 'f', 'g']);
    expect(client.accepts(message, signature)).toBe(true);
  });

  it('tells a member that comes back in mid-change to wait, and serves it after the decision', async () => {
    const missed = await epochOf('a');
    await Promise.all([lab.stop('f'), lab.stop('g')]);
    // Seven members are quorate with five: the next change goes on without the two, the one after not without d.
    await lab.untilEpoch(missed + 1);
    lab.pause('d');
    await lab.until('a', async (api) => {
      const { change } = await api.status();
      return change?.phase === 'gathering' && change.attending.length === 4 ? true : null;
    });
    const started = lab.start('f');
    await Promise.race(['a', 'b', 'c', 'e'].map((name) => untilRule(lab, name, 'recover-wait')));
    lab.resume('d');
    await Promise.all([started, lab.start('g')]);
    await Promise.all(['f', 'g'].map((name) => untilShare(lab, name)));
    const { signature } = await client.sign('g', message);
    expect(client.accepts(message, signature)).toBe(true);
  });
});

describe('a 2-of-3 group whose members are all replaced', { timeout: patienceMs }, () => {
  let lab: Lab;
  let client: Client;
  let before: Uint8Array;

  beforeAll(async () => {
    lab = await Lab.create({
      peers: 3,
      threshold: 2,
      settings: { dealingWindowMs: 300, roundTimeoutMs: 500 },
    });
    await lab.createKey('ca', readyPrimes(2048));
    client = await Client.of(lab, 'ca');
    before = (await client.sign('a', message)).signature;
  }, patienceMs);
  afterAll(() => lab?.close());

  const samePublicKey = async (name: string): Promise<void> =>
    expect((await lab.must(name, ['key', 'public', 'ca'])).toString('utf8')).toBe(client.pem);
  const sameSignature = async (name: string): Promise<void> =>
    expect(Buffer.from((await client.sign(name, message)).signature).equals(before)).toBe(true);
  const membersAt = async (name: string): Promise<string[]> =>
    (await lab.api(name).peers()).filter(({ state }) => state === 'member').map((peer) => peer.name);
  const outcome = async (args: readonly string[]): Promise<{ code: number | null; lines: string[] }> => {
    const { code, stderr } = await lab.run('a', args);
    return { code, lines: stderr.trim().split('\n') };
  };

  it('grows to five, and the newcomers sign the same bytes', async () => {
    await Promise.all(['d', 'e'].map((name) => lab.join(name)));
    await Promise.all(['d', 'e'].map(lab.start));
    await lab.admit(['d', 'e']);
    await Promise.all(['d', 'e'].map((name) => untilShare(lab, name)));
    expect(await membersAt('e')).toEqual(['a', 'b', 'c', 'd', 'e']);
    await sameSignature('d');
    await samePublicKey('e');
  });

  it('refuses a wrong passphrase and a used order, with one line each, and nothing is changed', async () => {
    const { epoch } = await lab.api('a').status();
    const wrong = join(lab.dir, 'wrong-passphrase');
    writeFileSync(wrong, 'not this one\n');
    const refused = await outcome(['evict', 'b', '--operator-passphrase-file', wrong]);
    expect(refused).toEqual({ code: 3, lines: [expect.stringMatching(/passphrase/)] });
    const used = join(lab.dir, 'order');
    const addClient = ['client', 'add', 'other', '--key', 'ca', '--may', 'sign'];
    await lab.must('a', [...addClient, '--order-file', used]);
    await lab.must('a', ['order', 'submit', used]);
    const after = (await lab.api('a').status()).epoch;
    expect(after).toBe((epoch ?? 0) + 1);
    const again = await outcome(['order', 'submit', used]);
    expect(again.code).toBe(3);
    expect(again.lines).toHaveLength(1);
    expect((await lab.api('a').status()).epoch).toBe(after);
  });

  it('evicts a member, whose stolen share with any other of the epoch after signs nothing', async () => {
    const [key] = (await lab.api('a').links((await lab.api('a').status()).epoch ?? 0))[0]?.value.keys ?? [];
    if (key === undefined) throw new Error('the newest value has the key');
    const shareOf = (name: string, epoch: number): Promise<bigint> =>
      lab.until(
        name,
        async () => (await stolenShares(lab, name, key.id).catch(() => null))?.get(epoch) ?? null,
      );
    const last = await untilShare(lab, 'b');
    const stolen = await shareOf('b', last);
    const index = (await lab.api('b').status()).index ?? 0;
    await lab.evict(['b']);
    const remaining = ['a', 'c', 'd', 'e'];
    await lab.untilEpoch(last + 1, remaining);

    const parameters = parametersOf({ key, threshold: 2, membersMax: 20 });
    const shared = publicOf(key);
    const block = trialBlock(new Uint8Array(32), key.id, shared.modulus);
    const partials = new Map<number, bigint>();
    for (const name of remaining) {
      const share = await shareOf(name, last + 1);
      const at = (await lab.api(name).status()).index ?? 0;
      partials.set(at, partial({ key: shared, parameters, share, block }));
    }
    const old = partial({ key: shared, parameters, share: stolen, block });
    const combined = (pairs: Array<readonly [number, bigint]>): bigint | null =>
      combine({ key: shared, parameters, block, partials: new Map(pairs) });
    for (const pair of subsets([...partials], 2)) expect(combined(pair)).not.toBeNull();
    for (const entry of partials) expect(combined([entry, [index, old]])).toBeNull();
  });

  it('gives the evicted peer no stream and no gossip', async () => {
    await lab.until('b', async (api) => ((await api.status()).state === 'evicted' ? true : null));
    const known = (await lab.api('b').status()).epoch;
    await lab.api('c').refresh();
    await lab.untilEpoch((known ?? 0) + 1, ['a', 'c', 'd', 'e']);
    const status = await lab.api('b').status();
    expect(status.epoch).toBe(known);
    expect(status.connected).toEqual([]);
    expect(status.shareEpochs).toEqual([]);
    expect(await membersAt('c')).not.toContain('b');
    const self = (await lab.api('c').peers()).find((peer) => peer.self);
    await lab.stop('b');
    expect(await streamsTo(self?.addresses ?? [], lab.peer('b').home)).toEqual([]);
  });

  it('shrinks to three with other members, operated from one of them: same public key, same signature', async () => {
    await lab.operateAt('d');
    await lab.evict(['a']);
    await lab.until('a', async (api) => ((await api.status()).state === 'evicted' ? true : null));
    await lab.stop('a');
    expect(await membersAt('d')).toEqual(['c', 'd', 'e']);
    await refresh(lab, 'e');
    await lab.kill('c');
    await sameSignature('e');
    await samePublicKey('d');
  });

  it('replaces a dead machine: a forced eviction, then an admission', async () => {
    await lab.evict(['c'], ['--forced', '--yes']);
    expect(await membersAt('d')).toEqual(['d', 'e']);
    await lab.join('f');
    await lab.start('f');
    await lab.admit(['f']);
    await untilShare(lab, 'f');
    await refresh(lab, 'f');
    await lab.stop('d');
    await sameSignature('f');
    await samePublicKey('f');
  });
});

/** The protocols on which a program with an evicted peer's identity was given an answer. */
async function streamsTo(addresses: readonly string[], home: string): Promise<string[]> {
  const node = await createLibp2p({
    privateKey: identityFromBytes(openHome(home).readIdentity()),
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionMonitor: { enabled: false },
  });
  const answered: string[] = [];
  for (const protocol of [...Object.values(protocolIds), '/ipfs/id/1.0.0', '/meshsub/1.1.0']) {
    const signal = AbortSignal.timeout(5000);
    try {
      const connection = await node.dial(
        addresses.map((address) => multiaddr(address)),
        { signal, force: true },
      );
      const bytes = byteStream(await connection.newStream(protocol, { signal }));
      await bytes.write(new Uint8Array(64), { signal });
      if ((await bytes.read({ signal })) !== null) answered.push(protocol);
    } catch {
      // refused, as it should be
    }
  }
  await node.stop();
  return answered;
}
