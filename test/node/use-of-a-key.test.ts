/** Members behind one another's request streams: who learns what, whose false partial is named, and what is refused. */
import { createPublicKey, publicEncrypt } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { Decryption, unpadded } from '../../src/cli/decryption.ts';
import { trialBlock } from '../../src/crypto/encoding.ts';
import { encodeSigned, integerToBytes } from '../../src/crypto/integers.ts';
import { publicKeyJwk } from '../../src/crypto/public-key-formats.ts';
import { ed25519FromSeed } from '../../src/crypto/signature.ts';
import { silentLog } from '../../src/node/log.ts';
import type { Transport } from '../../src/node/network/transport.ts';
import { runUseJob, type UseJob, type UseJobResult } from '../../src/node/use-jobs.ts';
import { type PartialAnswer, partialAnswerSchema } from '../../src/node/use-messages.ts';
import { sealPartial } from '../../src/node/use-sealing.ts';
import { UseService } from '../../src/node/use-service.ts';
import type { DecryptAnswer } from '../../src/node/view.ts';
import { decode, encode, hex, numberBytes } from '../../src/protocol/codec.ts';
import type { CoreState } from '../../src/protocol/state.ts';
import { type DecryptBody, signUse, type UseRequest } from '../../src/protocol/use-request.ts';
import { type Client, hashOfValue, type KeyRecord, type Value } from '../../src/protocol/value.ts';
import { sampleCreation, sharingOf } from '../crypto/sample.ts';
import { paperCluster } from '../protocol/support.ts';
import { seededBytes, settled, VirtualTime } from '../support/virtual-time.ts';

const random = seededBytes('use of a key');
const parameters = { membersMax: 5, threshold: 3, modulusBits: 2048 } as const;
const creation = sampleCreation(parameters);
const sharing = sharingOf(creation, parameters, [1, 2, 3, 4, 5]);
const record = (name: string, use: KeyRecord['use']): KeyRecord => ({
  id: random(32),
  name,
  use,
  modulus: numberBytes(sharing.key.modulus),
  exponent: numberBytes(sharing.key.exponent),
  base: numberBytes(sharing.key.base),
  constant: numberBytes(sharing.key.constant),
});
const vault = record('vault', 'decrypt');
const ca = record('ca', 'sign');

const clientSeed = random(32);
const client: Client = {
  name: 'operator',
  publicKey: ed25519FromSeed(clientSeed).publicKey,
  rights: [{ key: '*', operations: ['sign', 'decrypt'] }],
  ratePerMinute: 2,
};
const paper = paperCluster();
const value: Value = {
  ...paper.founding.value,
  threshold: 3,
  keys: [vault, ca],
  clients: [client],
  roster: [1, 2, 3, 4, 5].map((index) => ({
    index,
    name: `p${index}`,
    peer: `peer-${index}-of-five`,
    epochKey: random(32),
  })),
};
const message = 'for the client alone';
const label = new Uint8Array(Buffer.from('a label'));

const stateOf = (index: number): CoreState => {
  const share = encodeSigned(sharing.shares.get(index) as bigint);
  const commitments = [0, 1].map(() => sharing.commitments.map(numberBytes));
  return {
    clusterId: paper.clusterId,
    genesis: { ...paper.genesis, membersMax: 5 },
    peer: `peer-${index}-of-five`,
    durable: {
      links: { [value.epoch]: { value, commitments } },
      shares: { [value.epoch]: { [hex(vault.id)]: share, [hex(ca.id)]: share } },
      own: { head: value.epoch, retired: value.epoch },
    },
  } as unknown as CoreState;
};

/** What a member says instead of its answer; null: nothing, ever. */
type Lie = (honest: PartialAnswer) => PartialAnswer | null;

/** Five members, each with its own service; the network is a function call. */
class Members {
  readonly time = new VirtualTime();
  readonly services = new Map<string, UseService>();
  readonly lies = new Map<string, Lie>();
  /** Everything that crossed the network or a worker of the coordinator, p1. */
  readonly seenByCoordinator: Uint8Array[] = [];
  proofsAsked = 0;

  constructor() {
    for (const { index, name, peer } of value.roster)
      this.services.set(
        peer,
        new UseService({
          state: () => stateOf(index),
          transport: this.transport(peer),
          workers: { use: async (job: UseJob) => this.compute(name, job) } as never,
          clock: this.time.clock(),
          log: silentLog,
          onChange: () => () => {},
        }),
      );
  }

  service(index: number): UseService {
    return this.services.get(`peer-${index}-of-five`) as UseService;
  }

  decryption(ciphertext: Uint8Array, key = vault): Decryption {
    const { publicKey } = client;
    const expiresAtMs = this.time.clock().wallMs() + 60_000;
    return new Decryption({
      cluster: paper.clusterId,
      key: key.id,
      client: { seed: clientSeed, publicKey, name: 'operator' } as never,
      ciphertext,
      expiresAtMs,
    });
  }

  ask(request: UseRequest<DecryptBody>, prove = false): Promise<DecryptAnswer> {
    return this.service(1).decrypt(request, { prove, timeoutMs: 5000 });
  }

  /** Runs virtual time until `condition` holds. */
  async until(condition: () => boolean): Promise<void> {
    await settled();
    while (!condition()) if (!(await this.time.next())) throw new Error('nothing more happens');
  }

  private compute(name: string, job: UseJob): UseJobResult {
    if (job.kind === 'use-partial' && job.prove) this.proofsAsked += 1;
    return runUseJob(job, { cipher: name === 'p2' ? 'des' : 'aes', randomBytes: random });
  }

  private transport(own: string): Transport {
    return {
      peerId: own,
      authenticated: () => value.roster.map(({ peer }) => peer).filter((peer) => peer !== own),
      request: async (peer: string, bytes: Uint8Array) => {
        const answer = await (this.services.get(peer) as UseService).answer(bytes);
        const lie = this.lies.get(peer);
        const said = lie === undefined ? answer : lie(decode(partialAnswerSchema, answer));
        if (said === null) return new Promise<Uint8Array>(() => {});
        const bytesSaid = said instanceof Uint8Array ? said : encode(said);
        this.seenByCoordinator.push(bytesSaid);
        return bytesSaid;
      },
    } as unknown as Transport;
  }
}

const encrypted = (text: string): Uint8Array =>
  new Uint8Array(
    publicEncrypt(
      {
        key: createPublicKey({ key: publicKeyJwk(sharing.key), format: 'jwk' }),
        oaepHash: 'sha256',
        oaepLabel: label,
      },
      Buffer.from(text),
    ),
  );
const plainOf = (block: bigint | null): string | null => {
  if (block === null) return null;
  const plain = unpadded(block, sharing.key.modulus, { hash: 'sha256', label });
  return plain === null ? null : Buffer.from(plain).toString();
};

describe('a decryption by five members', () => {
  it('is seen by the client alone: the coordinator holds sealed partials only', async () => {
    const members = new Members();
    const decryption = members.decryption(encrypted(message));
    const answer = await members.ask(decryption.request);
    expect(answer.partials).toHaveLength(3);
    expect(members.proofsAsked).toBe(0);
    expect(plainOf(decryption.combine(answer).block)).toBe(message);

    for (const bytes of members.seenByCoordinator)
      expect(decode(partialAnswerSchema, bytes).type).toBe('sealed-partial');
    // Another one-time key opens nothing, not even for the same client and ciphertext.
    const other = members.decryption(encrypted(message));
    expect(other.combine(answer).block).toBeNull();
  });

  it('with two that seal false partials: asks again with proofs, names both, and needs neither', async () => {
    const members = new Members();
    const decryption = members.decryption(encrypted(message));
    // Whichever way round three of five are asked, p3 or p5 is among them.
    for (const index of [3, 5]) {
      const tie = { body: decryption.request.body, epoch: value.epoch, index };
      const forged = { tie, cipher: 'aes', entropy: random(32), partial: 4n, proof: null } as const;
      const envelope = sealPartial(forged);
      members.lies.set(`peer-${index}-of-five`, () => ({ type: 'sealed-partial', envelope }));
    }
    const first = await members.ask(decryption.request);
    expect(decryption.combine(first).block).toBeNull();
    expect(members.proofsAsked).toBe(0);
    const proven = await members.ask(decryption.request, true);
    expect(members.proofsAsked).toBe(5);
    const { block, culprits } = decryption.combine(proven);
    expect(plainOf(block)).toBe(message);
    expect(culprits.toSorted()).toEqual(['p3', 'p5']);
  });

  it('with one that does not answer: goes on without it, and with proofs waits for it until the time is over', async () => {
    const members = new Members();
    members.lies.set('peer-2-of-five', () => null);
    const decryption = members.decryption(encrypted(message));
    for (const [prove, count] of [
      [false, 3],
      [true, 4],
    ] as const) {
      let answer: DecryptAnswer | null = null;
      void members.ask(decryption.request, prove).then((found) => {
        answer = found;
      });
      await members.until(() => answer !== null);
      const { partials } = answer as unknown as DecryptAnswer;
      expect(partials.length).toBeGreaterThanOrEqual(count);
      expect(plainOf(decryption.combine(answer as unknown as DecryptAnswer).block)).toBe(message);
    }
  });

  it('takes no partial that is open to others', async () => {
    const members = new Members();
    for (const index of [2, 3, 4, 5])
      members.lies.set(`peer-${index}-of-five`, () => ({
        type: 'partial',
        partial: numberBytes(4n),
        proof: null,
      }));
    const outcome = members.ask(members.decryption(encrypted(message)).request).catch((error) => error);
    let failure: Error | null = null;
    void outcome.then((error) => {
      failure = error;
    });
    await members.until(() => failure !== null);
    expect(failure).toMatchObject({ code: 'not-enough-peers' });
  });

  it('is one error for every defect of the padding', () => {
    const { modulus } = sharing.key;
    const padding = { hash: 'sha256', label } as const;
    for (const block of [0n, 1n, modulus - 1n, modulus / 3n, 2n ** 2040n])
      expect(unpadded(block, modulus, padding)).toBeNull();
  });
});

describe('every member refuses for itself', () => {
  const asked = async (request: UseRequest): Promise<PartialAnswer> => {
    const members = new Members();
    const answer = await members.service(4).answer(encode({ epoch: value.epoch, request, prove: false }));
    return decode(partialAnswerSchema, answer);
  };
  const { body } = new Members().decryption(encrypted(message)).request;
  const decrypting = (change: Partial<DecryptBody>) => asked(signUse(clientSeed, { ...body, ...change }));

  it('to decrypt with a key made to sign', async () => {
    expect(await decrypting({ key: ca.id })).toMatchObject({ type: 'refused', code: 'wrong-use' });
  });

  it('to sign with a key made to decrypt', async () => {
    const { cluster, client: publicKey, nonce, expiresAtMs } = body;
    const request = signUse(clientSeed, {
      operation: 'sign',
      ...{ cluster, client: publicKey, nonce, expiresAtMs },
      key: vault.id,
      scheme: 'pkcs1',
      hash: 'sha256',
      digest: random(32),
      salt: new Uint8Array(),
    });
    expect(await asked(request)).toMatchObject({ type: 'refused', code: 'wrong-use' });
  });

  it('to decrypt the block that retires the old shares', async () => {
    const { modulus } = sharing.key;
    const block = trialBlock(hashOfValue(value), vault.id, modulus);
    for (const x of [block, modulus - block])
      expect(await decrypting({ ciphertext: integerToBytes(x, 256) })).toMatchObject({
        type: 'refused',
        code: 'trial-block',
      });
  });

  it('more decryptions a minute than the client may; the same one again counts once', async () => {
    const members = new Members();
    const ask = async (request: UseRequest): Promise<string> => {
      const answer = await members.service(4).answer(encode({ epoch: value.epoch, request, prove: false }));
      const told = decode(partialAnswerSchema, answer);
      return told.type === 'refused' ? told.code : told.type;
    };
    const [one, two, three] = [1, 2, 3].map(() => members.decryption(encrypted(message)).request);
    expect([
      await ask(one as UseRequest),
      await ask(one as UseRequest),
      await ask(two as UseRequest),
      await ask(three as UseRequest),
    ]).toEqual(['sealed-partial', 'sealed-partial', 'sealed-partial', 'over-rate']);
  });
});
