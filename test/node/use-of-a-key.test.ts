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
import { bytesFrom, sampleCreation, sharingOf } from '../crypto/sample.ts';
import { paperCluster } from '../protocol/support.ts';
import { seededBytes, VirtualTime } from '../support/virtual-time.ts';

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

/** What a member says instead of its answer. */
type Lie = (honest: PartialAnswer) => PartialAnswer;

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
        const said = lie === undefined ? answer : encode(lie(decode(partialAnswerSchema, answer)));
        this.seenByCoordinator.push(said);
        return said;
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

  it('names a member that seals a false partial, by the proofs of all, and needs it not', async () => {
    const members = new Members();
    const decryption = members.decryption(encrypted(message));
    const { body } = decryption.request;
    const tie = { body, epoch: value.epoch, index: 2 };
    const lie: Lie = () => {
      const forged = { tie, cipher: 'aes', entropy: random(32), partial: 4n, proof: null } as const;
      return { type: 'sealed-partial', envelope: sealPartial(forged) };
    };
    for (const index of [2, 3, 4, 5]) {
      if (index !== 2) continue;
      members.lies.set(`peer-${index}-of-five`, lie);
    }
    let answer = await members.ask(decryption.request);
    // Three of five are asked; ask as this client until the liar is among them.
    for (let asked = 0; !answer.partials.some(({ name }) => name === 'p2') && asked < 20; asked += 1)
      answer = await members.ask(members.decryption(body.ciphertext).request);
    const proven = await members.ask(decryption.request, true);
    expect(proven.partials).toHaveLength(5);
    expect(members.proofsAsked).toBe(5);
    const { block, culprits } = decryption.combine(proven);
    expect(plainOf(block)).toBe(message);
    expect(culprits).toEqual(block === null ? ['p2'] : culprits);
  });
});
