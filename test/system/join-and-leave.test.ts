/**
 * Peers come and go while a group refreshes and signs: joining, being told to wait, eviction, replacing
 * everybody.
 */

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setInterval } from 'node:timers/promises';
import { noise } from '@chainsafe/libp2p-noise';
import { tcp } from '@libp2p/tcp';
import { byteStream } from '@libp2p/utils';
import { yamux } from '@libp2p/yamux';
import { multiaddr } from '@multiformats/multiaddr';
import { createLibp2p } from 'libp2p';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readOrderFile, writeOrderFile } from '../../src/cli/orders.ts';
import { pauseInWords } from '../../src/cli/pause-words.ts';
import { trialBlock } from '../../src/keys/rsa/encoding.ts';
import { parametersOf, publicOf } from '../../src/keys/rsa/setting.ts';
import { combine, partial } from '../../src/keys/rsa/signing.ts';
import { DaemonProcess } from '../../src/lab/daemon-process.ts';
import { Lab } from '../../src/lab/lab.ts';
import { SigningProgram } from '../../src/lab/signing-program.ts';
import { openHome } from '../../src/node/home/home.ts';
import { identityFromBytes } from '../../src/node/home/identity.ts';
import { protocolIds } from '../../src/node/network/constants.ts';
import type { PauseView } from '../../src/node/views/view.ts';
import { invitationText, parseInvitation } from '../../src/protocol/records/admission.ts';
import { readyPrimes, subsetsOf } from '../../src/simulation/world/sample-keys.ts';
import { runOnTerminal } from '../support/terminal.ts';
import { refresh, stolenShares } from './support.ts';

/** Any will do where nobody measures. */
const blinding = new Uint8Array(16);

const message = 'Signed by whoever is there.\n';
const patienceMs = 180_000;
/** Of each of two clients. */
const signEveryMs = 200;

/** What a daemon's history says of recoveries and changes that met, newest first. */
const pausesAt = async (lab: Lab, name: string, kind: PauseView['kind']): Promise<PauseView[]> =>
  (await lab.api(name).epochs(100)).flatMap(({ pauses }) => pauses.filter((pause) => pause.kind === kind));

/**
 * What commands read and write in a home, byte by byte; the daemon's store and log of uses live their own
 * life.
 */
const filesOf = (home: string): Map<string, string> =>
  new Map(
    readdirSync(home, { recursive: true, withFileTypes: true })
      .filter((file) => file.isFile())
      .map((file) => join(file.parentPath, file.name))
      .filter((path) => !/^(store|audit)/.test(relative(home, path)))
      .map((path) => [path, readFileSync(path, 'hex')]),
  );

const untilShare = (lab: Lab, name: string): Promise<number> =>
  lab.until(name, async (api) => {
    const { epoch, shareEpochs } = await api.status();
    return epoch !== null && shareEpochs.includes(epoch) ? epoch : null;
  });

describe('a group of five that refreshes every two seconds', { timeout: patienceMs }, () => {
  let lab: Lab;
  let program: SigningProgram;

  beforeAll(async () => {
    const settings = {
      refreshPeriodMs: 2000,
      dealingWindowMs: 300,
      roundTimeoutMs: 500,
      recoveryHoldMs: 8000,
    };
    lab = await Lab.create({ peers: 5, threshold: 3, settings });
    await lab.createKey('ca', readyPrimes(2048));
    program = await SigningProgram.of(lab, 'ca');
  }, patienceMs);
  afterAll(() => lab?.close());

  const epochOf = async (name: string): Promise<number> => (await lab.api(name).status()).epoch ?? -1;

  test('takes a sixth and a seventh member while it signs: no signature fails, and epochs go on', async () => {
    const before = await epochOf('a');
    let joining = true;
    let signed = 0;
    const keepSigning = async (at: string): Promise<void> => {
      for await (const _ of setInterval(signEveryMs)) {
        if (!joining) return;
        const data = `${at}, message ${signed}`;
        const { signature } = await program.sign(at, data);
        if (!program.accepts(data, signature)) throw new Error(`the signature of "${data}" does not verify`);
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

  test('held a change for each newcomer or told it to wait, and history says whom and how long', async () => {
    // The change that was held is history once it is decided.
    await lab.untilEpoch((await epochOf('a')) + 1);
    const met = (
      await Promise.all(
        ['a', 'b', 'c', 'd', 'e'].flatMap((at) => [pausesAt(lab, at, 'held'), pausesAt(lab, at, 'waited')]),
      )
    ).flat();
    expect(met.map(({ member }) => member)).toEqual(expect.arrayContaining(['f', 'g']));
    for (const { ms } of met) expect(ms).toBeLessThanOrEqual(8000);
    const [one] = [...(await pausesAt(lab, 'a', 'held')), ...(await pausesAt(lab, 'a', 'waited'))];
    if (one === undefined) throw new Error('a helped too');
    const shown = (await lab.must('a', ['epochs', String(one.epoch)])).toString('utf8');
    expect(shown).toMatch(new RegExp(`^recovery +${pauseInWords(one)}$`, 'm'));
  });

  test('signs by a set of three with both newcomers in it', async () => {
    const away = ['a', 'b', 'c', 'd'];
    // The next change is two seconds away: no three of an epoch are cut off in the middle of one.
    await lab.untilEpoch((await epochOf('a')) + 1);
    await Promise.all(['e', 'f', 'g'].map((name) => untilShare(lab, name)));
    for (const name of away) lab.pause(name);
    const { signature, signers } = await program.sign('f', message).finally(() => away.forEach(lab.resume));
    expect(signers.toSorted()).toEqual(['e', 'f', 'g']);
    expect(program.accepts(message, signature)).toBe(true);
  });

  test('tells a member that comes back in mid-change to wait, and serves it after the decision', async () => {
    const missed = await epochOf('a');
    await Promise.all([lab.stop('f'), lab.stop('g')]);
    // Seven members are quorate with five: the next change goes on without the two, the one after not without
    // d.
    await lab.untilEpoch(missed + 1);
    lab.pause('d');
    await lab.until('a', async (api) => {
      const { change } = await api.status();
      const deciding = change !== null && change.phase !== 'applying' && change.phase !== 'retiring';
      return deciding && change.attending.length >= 4 ? true : null;
    });
    const started = lab.start('f');
    const { told, undecided } = await Promise.race(
      ['a', 'b', 'c', 'e'].map((name) =>
        lab.until(name, async (api) => {
          const pauses = [...(await api.status()).pauses, ...(await pausesAt(lab, name, 'waited'))];
          const wait = pauses.find(
            ({ kind, member, epoch }) => kind === 'waited' && member === 'f' && epoch > missed + 1,
          );
          return wait === undefined ? null : { told: name, undecided: wait.epoch };
        }),
      ),
    );
    lab.resume('d');
    await Promise.all([started, lab.start('g')]);
    await Promise.all(['f', 'g'].map((name) => untilShare(lab, name)));
    for (const name of [told, 'f'])
      expect(await pausesAt(lab, name, 'waited')).toContainEqual(
        expect.objectContaining({ member: 'f', epoch: undecided, lasts: false }),
      );
    // History is durable.
    await lab.kill(told);
    await lab.start(told);
    expect((await pausesAt(lab, told, 'waited')).map(({ epoch }) => epoch)).toContain(undecided);
    const { signature } = await program.sign('g', message);
    expect(program.accepts(message, signature)).toBe(true);
  });

  test('gives a lost machine its place again: one order, the same index and name, a new home', async () => {
    const index = (await lab.api('e').status()).index;
    await lab.kill('e');
    await lab.until('a', async (api) =>
      (await api.peers()).find(({ name }) => name === 'e')?.authenticated === false ? true : null,
    );
    await lab.must('a', ['invite', '--for', '1h']);
    await lab.join('e2', 'e');
    await lab.start('e2');
    const fingerprint = await lab.until(
      'a',
      async (api) => (await api.peers()).find(({ state }) => state === 'waiting')?.fingerprint ?? null,
    );
    const said = await lab.must('a', ['reinstate', 'e', '--yes', fingerprint]);
    expect(said.toString('utf8')).toMatch(/^epoch \d+: e has its place again; 3-of-/);
    await lab.until('e2', async (api) => ((await api.status()).state === 'member' ? true : null));
    await untilShare(lab, 'e2');
    expect((await lab.api('e2').status()).index).toBe(index);
    const { signature } = await program.sign('e2', message);
    expect(program.accepts(message, signature)).toBe(true);
  });
});

describe('a 2-of-3 group whose members are all replaced', { timeout: patienceMs }, () => {
  let lab: Lab;
  let program: SigningProgram;
  let before: Uint8Array;

  beforeAll(async () => {
    lab = await Lab.create({
      peers: 3,
      threshold: 2,
      settings: { dealingWindowMs: 300, roundTimeoutMs: 500 },
    });
    await lab.createKey('ca', readyPrimes(2048));
    program = await SigningProgram.of(lab, 'ca');
    before = (await program.sign('a', message)).signature;
  }, patienceMs);
  afterAll(() => lab?.close());

  const samePublicKey = async (name: string): Promise<void> =>
    expect((await lab.must(name, ['key', 'public', 'ca'])).toString('utf8')).toBe(program.pem);
  const sameSignature = async (name: string): Promise<void> =>
    expect(Buffer.from((await program.sign(name, message)).signature).equals(before)).toBe(true);
  const membersAt = async (name: string): Promise<string[]> =>
    (await lab.api(name).peers()).filter(({ state }) => state === 'member').map((peer) => peer.name);
  const outcome = async (args: readonly string[]): Promise<{ code: number | null; lines: string[] }> => {
    const { code, stderr } = await lab.run('a', args);
    return { code, lines: stderr.trim().split('\n') };
  };

  test('grows to five, and the newcomers sign the same bytes', async () => {
    await Promise.all(['d', 'e'].map((name) => lab.join(name)));
    await Promise.all(['d', 'e'].map(lab.start));
    await lab.admit(['d', 'e']);
    await Promise.all(['d', 'e'].map((name) => untilShare(lab, name)));
    expect(await membersAt('e')).toEqual(['a', 'b', 'c', 'd', 'e']);
    await sameSignature('d');
    await samePublicKey('e');
  });

  test('refuses a wrong passphrase and another cluster’s order, and knows a used one; nothing is changed', async () => {
    const state = async () => {
      const [head] = await lab.api('a').links((await lab.api('a').status()).epoch ?? 0);
      return { value: head?.value, files: filesOf(lab.peer('a').home) };
    };
    const refusal = async (args: readonly string[], ...lines: RegExp[]): Promise<void> => {
      const expected = lines.map((line) => expect.stringMatching(line));
      expect(await outcome(args)).toEqual({ code: 3, lines: expected });
    };
    const addClient = ['client', 'add', 'other', '--key', 'ca', '--may', 'sign', '--open'];
    const used = join(lab.dir, 'order');
    await lab.must('a', [...addClient, '--order-file', used]);
    await lab.must('a', ['order', 'submit', used]);
    await lab.untilEpoch((await lab.api('a').status()).epoch ?? 0);

    const before = await state();
    const wrong = join(lab.dir, 'wrong-passphrase');
    writeFileSync(wrong, 'not this one\n', { mode: 0o600 });
    await refusal(['evict', 'b', '--passphrase-file', wrong], /^from the next epoch on/, /passphrase/);
    expect((await lab.must('a', ['order', 'submit', used])).toString()).toContain('this was done already');
    const foreign = join(lab.dir, 'foreign-order');
    const order = await readOrderFile(used);
    writeOrderFile(foreign, { ...order, body: { ...order.body, cluster: new Uint8Array(32) } });
    await refusal(['order', 'submit', foreign], /^holdfast: the order is for another cluster/);
    await refusal(['admit', 'b', '--yes', 'x'], /^holdfast: a member named b exists already/);
    await refusal(['reinstate', 'nobody', '--yes', 'x'], /^holdfast: there is no member named nobody/);
    expect(await state()).toEqual(before);
  });

  test('lets nobody wait under the name of a member that is here, nor with another cluster’s invitation', async () => {
    const lobby = parseInvitation((await lab.must('a', ['invite'])).toString('utf8').trim());
    const strange = { ...lobby, genesis: { ...lobby.genesis, nonce: new Uint8Array(16) } };
    const says = async (name: string, alias: string, invitation: string, line: RegExp): Promise<void> => {
      const home = join(lab.dir, name);
      const listen = ['--listen', '/ip4/127.0.0.1/tcp/0', '--lobby-listen', '/ip4/127.0.0.1/tcp/0'];
      lab.peers.set(name, new DaemonProcess(name, home));
      await lab.must(name, ['join', invitation, '--name', alias, ...listen, '--set', 'mdns=false']);
      await lab.start(name);
      await lab.until(name, async (api) =>
        (await api.status()).problems.some(({ what }) => line.test(what)) ? true : null,
      );
      await lab.stop(name);
      lab.peers.delete(name);
    };
    await says('liar', 'b', invitationText(lobby), /the name b is that of a member which is here/);
    await says('lost', 'lost', invitationText(strange), /this lobby belongs to another cluster/);
    expect((await lab.api('a').peers()).map(({ state }) => state)).not.toContain('waiting');
  });

  test('evicts a member, whose stolen share with any other of the epoch after signs nothing', async () => {
    const [key] = (await lab.api('a').links((await lab.api('a').status()).epoch ?? 0))[0]?.value.keys ?? [];
    if (key === undefined) throw new Error('the newest value has the key');
    const shareOf = (name: string, epoch: number): Promise<bigint> =>
      lab.until(name, async () => (await stolenShares(lab, name, key.id)).get(epoch) ?? null);
    const last = await untilShare(lab, 'b');
    const stolen = await shareOf('b', last);
    const index = (await lab.api('b').status()).index ?? 0;
    await lab.evict(['b']);
    const remaining = ['a', 'c', 'd', 'e'];
    await lab.untilEpoch(last + 1, remaining);

    const parameters = parametersOf({ public: key.public, threshold: 2, membersMax: 20 });
    const shared = publicOf(key.public);
    const block = trialBlock(new Uint8Array(32), key.id, shared.modulus);
    const partials = new Map<number, bigint>();
    for (const name of remaining) {
      const share = await shareOf(name, last + 1);
      const at = (await lab.api(name).status()).index ?? 0;
      partials.set(at, partial({ key: shared, parameters, share, block, blinding }));
    }
    const old = partial({ key: shared, parameters, share: stolen, block, blinding });
    const combined = (pairs: Array<readonly [number, bigint]>): bigint | null =>
      combine({ key: shared, parameters, block, partials: new Map(pairs) });
    for (const pair of subsetsOf([...partials], 2)) expect(combined(pair)).not.toBeNull();
    for (const entry of partials) expect(combined([entry, [index, old]])).toBeNull();
  });

  test('gives the evicted peer no stream and no gossip', async () => {
    await lab.until('b', async (api) => ((await api.status()).state === 'evicted' ? true : null));
    const known = (await lab.api('b').status()).epoch;
    await lab.api('c').refresh();
    await lab.untilEpoch((known ?? 0) + 1, ['a', 'c', 'd', 'e']);
    const status = await lab.until('b', async (api) => {
      const now = await api.status();
      return now.connected.length === 0 ? now : null;
    });
    expect(status.epoch).toBe(known);
    expect(status.shareEpochs).toEqual([]);
    expect(await membersAt('c')).not.toContain('b');
    const self = (await lab.api('c').peers()).find((peer) => peer.self);
    await lab.stop('b');
    expect(await streamsTo(self?.addresses ?? [], lab.peer('b').home)).toEqual([]);
  });

  test('shrinks to three with other members, operated from one of them: same public key, same signature', async () => {
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

  test('replaces a dead machine: a forced eviction, then an admission', async () => {
    const evict = (line: string) =>
      runOnTerminal(
        ['evict', 'c', '--forced', '--operator', lab.operatorFile],
        { HOLDFAST_HOME: lab.peer('d').home, CREDENTIALS_DIRECTORY: lab.credentials },
        [{ after: 'type c if it is gone for good: ', keys: `${line}\r` }],
      );
    // A yes is no name.
    const unsure = await evict('yes');
    expect(unsure).toEqual({ code: 3, shown: expect.stringContaining('"yes" is not c; nobody was evicted') });
    expect(await membersAt('d')).toEqual(['c', 'd', 'e']);
    const sure = await evict('c');
    expect(sure).toEqual({
      code: 0,
      shown: expect.stringMatching(/they are a second group.*c evicted; 2-of-2/s),
    });
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
