/** Five members with one key each to sign and to decrypt, behind one another's request streams. */

import { createPublicKey, publicEncrypt } from 'node:crypto';
import { Decryption } from '../../../src/client/decryption.ts';
import { encodeSigned } from '../../../src/crypto/integers.ts';
import { ed25519FromSeed } from '../../../src/crypto/signature.ts';
import { elementBytes, encodePublic } from '../../../src/keys/rsa/numbers.ts';
import { rsaDecrypt } from '../../../src/keys/rsa/operations.ts';
import { publicKeyJwk, publicKeyPem } from '../../../src/keys/rsa/public-forms.ts';
import { runUseJob, type UseJob, type UseJobResult } from '../../../src/node/jobs/use-jobs.ts';
import { createLog } from '../../../src/node/log.ts';
import type { ReproachQuota } from '../../../src/node/network/quotas.ts';
import type { Transport } from '../../../src/node/network/transport.ts';
import type { DecryptAnswer } from '../../../src/node/use/answers.ts';
import {
  type PartialAnswer,
  type PartialRequest,
  partialAnswers,
  partialRequests,
} from '../../../src/node/use/partial-messages.ts';
import { UseService } from '../../../src/node/use/service.ts';
import type { CoreState } from '../../../src/protocol/machine/state.ts';
import { hex } from '../../../src/protocol/records/codec.ts';
import {
  type DecryptBody,
  type SignBody,
  signUse,
  type UseRequest,
} from '../../../src/protocol/records/use-request.ts';
import type { Client, KeyRecord, Value } from '../../../src/protocol/records/value.ts';
import { paperCluster } from '../../../src/simulation/world/paper.ts';
import { sampleCreation, sharingOf } from '../../../src/simulation/world/sample-keys.ts';
import { seededBytes, settled, VirtualTime } from '../../../src/simulation/world/virtual-time.ts';

export const random = seededBytes('use of a key');
const parameters = { membersMax: 5, threshold: 3, modulusBits: 2048 } as const;
const creation = sampleCreation(parameters);
export const sharing = sharingOf(creation, parameters, [1, 2, 3, 4, 5]);
const record = (name: string, use: KeyRecord['use']): KeyRecord => ({
  id: random(32),
  name,
  use,
  kind: 'rsa',
  public: encodePublic(sharing.key),
  creation: null,
});
export const vault = record('vault', 'decrypt');
export const ca = record('ca', 'sign');

export const clientSeed = random(32);
const client: Client = {
  name: 'operator',
  publicKey: ed25519FromSeed(clientSeed).publicKey,
  rights: [{ key: '*', operations: ['sign', 'decrypt'] }],
  ratePerMinute: 2,
};
const paper = paperCluster();
export const value: Value = {
  ...paper.founding.value,
  threshold: 3,
  keys: [vault, ca],
  clients: [client],
  roster: [1, 2, 3, 4, 5].map((index) => ({
    index,
    name: `p${index}`,
    peer: `peer-${index}-of-five`,
    epochKey: random(32),
    keyEpoch: 0,
  })),
};
export const message = 'for the client alone';
export const label = new Uint8Array(Buffer.from('a label'));

const stateOf = (index: number): CoreState => {
  const share = encodeSigned(sharing.shares.get(index) as bigint);
  const commitments = [0, 1].map(() => sharing.commitments.map(elementBytes));
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

type Asked = Extract<PartialRequest, { type: 'partial' }>;
/** What a member says instead of its answer; null: nothing, ever. */
export type Lie = (honest: PartialAnswer) => PartialAnswer | null;

/** Five members, each with its own service; the network is a function call. */
export class Members {
  readonly time = new VirtualTime();
  readonly services = new Map<string, UseService>();
  readonly lies = new Map<string, Lie>();
  /** Everything that crossed the network or a worker of the coordinator, p1. */
  readonly seenByCoordinator: Uint8Array[] = [];
  proofsAsked = 0;
  /** What a member (peer id) waits for before it answers. */
  slow: (peer: string, asked: Asked) => Promise<void> | null = () => null;
  /** What workers were asked for, of whomever. */
  readonly jobs: UseJob['kind'][] = [];
  /** Peers whose workers compute nothing. */
  readonly broken = new Set<string>();
  /** What members put into their audit logs. */
  readonly audited: PartialAnswer[] = [];
  /** Whom members reproached, and what for. */
  readonly reproached: [peer: string, quota: ReproachQuota][] = [];
  /** What members logged, at the level that a daemon has by itself. */
  readonly logged: string[] = [];
  /** What the next combination waits for. */
  combining: () => Promise<void> | null = () => null;

  constructor() {
    for (const { index, name, peer } of value.roster)
      this.services.set(
        peer,
        new UseService({
          state: () => stateOf(index),
          transport: this.#transport(peer),
          workers: {
            use: async (job: UseJob) => {
              const wait = job.kind === 'use-combine' ? this.combining() : null;
              if (wait !== null) await wait;
              this.jobs.push(job.kind);
              if (this.broken.has(peer)) throw new Error('a worker that died');
              return this.#compute(name, job);
            },
          } as never,
          clock: this.time.clock(),
          log: createLog({ level: 'info', destination: { write: (line) => this.logged.push(line) } }),
          randomBytes: random,
          onChange: () => () => {},
          partialsAtOnce: 2,
          audit: async (_from, _asked, answer) => {
            this.audited.push(answer);
            return answer;
          },
        }),
      );
  }

  service(index: number): UseService {
    return this.services.get(`peer-${index}-of-five`) as UseService;
  }

  decryption(ciphertext: Uint8Array, key = vault): Decryption {
    const { publicKey } = client;
    const expiresAtMs = this.time.clock().wallMs() + 60_000;
    return Decryption.ask({
      cluster: paper.clusterId,
      key: key.id,
      kind: 'rsa',
      pem: publicKeyPem(sharing.key),
      client: { seed: clientSeed, publicKey, name: 'operator' } as never,
      asked: { ciphertext },
      expiresAtMs,
    });
  }

  ask(request: UseRequest<DecryptBody>, prove = false): Promise<DecryptAnswer> {
    return this.service(1).decrypt(request, { prove, timeoutMs: 5000 });
  }

  /** Whoever coordinates asks itself first, then the others from p2 on. */
  signing(): UseRequest<SignBody> {
    return signUse<SignBody>(clientSeed, {
      v: 1,
      operation: 'sign',
      kind: 'rsa',
      ...{ cluster: paper.clusterId, client: client.publicKey, key: ca.id },
      asked: { scheme: 'pkcs1', hash: 'sha256', digest: random(32), salt: new Uint8Array() },
      nonce: new Uint8Array(16),
      expiresAtMs: this.time.clock().wallMs() + 60_000,
    });
  }

  /** Runs virtual time until `condition` holds. */
  async until(condition: () => boolean): Promise<void> {
    await settled();
    while (!condition()) if (!(await this.time.next())) throw new Error('nothing more happens');
  }

  #compute(name: string, job: UseJob): UseJobResult {
    if (job.kind === 'use-partial' && job.prove) this.proofsAsked += 1;
    return runUseJob(job, { cipher: name === 'p2' ? 'des' : 'aes', randomBytes: random });
  }

  #transport(own: string): Transport {
    return {
      peerId: own,
      reproach: (peer: string, quota: ReproachQuota = 'refusals') => this.reproached.push([peer, quota]),
      authenticated: () => value.roster.map(({ peer }) => peer).filter((peer) => peer !== own),
      request: async (peer: string, bytes: Uint8Array) => {
        const wait = this.slow(peer, partialRequests.decode(bytes) as Asked);
        if (wait !== null) await wait;
        const answer = await (this.services.get(peer) as UseService).answer(own, bytes);
        const lie = this.lies.get(peer);
        const said = lie === undefined ? answer : lie(partialAnswers.decode(answer));
        if (said === null) return new Promise<Uint8Array>(() => {});
        const bytesSaid = said instanceof Uint8Array ? said : partialAnswers.encode(said);
        this.seenByCoordinator.push(bytesSaid);
        return bytesSaid;
      },
    } as unknown as Transport;
  }
}

export const encrypted = (text: string): Uint8Array =>
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
export const plainOf = (result: Uint8Array | null): string | null => {
  if (result === null) return null;
  const opened = { publicBytes: vault.public, result, padding: { hash: 'sha256', label } };
  return Buffer.from(rsaDecrypt.plaintextIn?.(opened) ?? []).toString();
};
