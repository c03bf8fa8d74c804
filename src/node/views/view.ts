/**
 * Everything that a daemon shows. The API answers with these shapes, the command line prints them, and tests
 * read them.
 */

import { z } from 'zod';
import { blameKindSchema, pauseKindSchema } from '../../protocol/machine/record-keys.ts';
import { faultModelSchema } from '../../protocol/records/genesis.ts';
import type { Link } from '../../protocol/records/link.ts';
import type { Order } from '../../protocol/records/order.ts';
import type { Packet } from '../../protocol/records/packet.ts';
import type { DecryptBody, SignBody, UseRequest } from '../../protocol/records/use-request.ts';
import { keyUseSchema } from '../../protocol/records/value.ts';
import type { AuditExtent } from '../audit/entry.ts';
import type { DecryptAnswer, SignAnswer } from '../use/answers.ts';

const count = z.int().min(0);
const epoch = z.int().min(0);
/** Unix time in milliseconds. */
const timeMs = z.number();
const names = z.array(z.string());

const problemViewSchema = z.object({
  code: z
    .string()
    .describe('stable word for programs, e.g. `refresh-waits`, `no-share`, `waiting-for-admission`'),
  what: z.string(),
  remedy: z.string().describe('what a person can do about it'),
});
/** A problem, or a warning of one, with what a person can do. */
export type Problem = z.infer<typeof problemViewSchema>;

const changeViewSchema = z.object({
  epoch: epoch.describe('the epoch that the undecided change leads to'),
  phase: z.enum(['gathering', 'dealing', 'agreeing', 'applying', 'retiring']),
  round: count.nullable(),
  attending: names,
  missing: names.describe('members from whom this peer has no Attend (or, while retiring, no Ready)'),
  needed: count.describe('Attends (or Readys) that are needed'),
  sinceMs: timeMs,
});
/** The change that is under way. */
export type ChangeView = z.infer<typeof changeViewSchema>;

/** A recovery that met the change to `epoch` (protocol §5), as this peer saw it. */
const pauseViewSchema = z.object({
  kind: pauseKindSchema.describe(
    '`held`: this peer held the change back for the member; `waited`: the member was told to wait',
  ),
  epoch,
  member: z.string(),
  ms: count.describe('how long, so far while `lasts`'),
  lasts: z.boolean(),
});
export type PauseView = z.infer<typeof pauseViewSchema>;

/** `unknown`: nobody has told this peer yet. It never counts as something that can be done. */
const certaintySchema = z.enum(['yes', 'no', 'unknown']);
export type Certainty = z.infer<typeof certaintySchema>;

/** The abilities of one member, as far as this peer knows them. */
const abilitySchema = z.object({
  index: count,
  name: z.string(),
  self: z.boolean(),
  connection: z
    .enum(['self', 'proven', 'unproven', 'none'])
    .describe('`unproven`: connected, but it has not proven its listed epoch key'),
  share: z
    .enum(['held', 'missing', 'unknown'])
    .describe('its share of the newest epoch: by its signed Ready, or by what it says now'),
  ready: z
    .boolean()
    .describe('it signed once that it held that share (Ready): its store was put back if it does not now'),
  barred: z
    .enum(['suspended', 'away-too-long', 'unproven', 'store-went-back', 'on-two-machines'])
    .nullable()
    .describe('why it takes no part in changes although it may be up'),
  can: z.object({
    sign: certaintySchema.describe('compute partials of a use of a key'),
    attend: certaintySchema.describe('take part in the next change'),
    deal: certaintySchema.describe('deal in it, and hold what is dealt'),
    help: certaintySchema.describe('help another member to its share'),
  }),
});
export type Ability = z.infer<typeof abilitySchema>;

const prospectSchema = z.object({
  can: certaintySchema,
  able: count.describe('members that can, as far as is known'),
  unknown: count.describe('members of which it is not known'),
  needed: count,
  spare: z.int().describe('`able` less `needed`: how many it can lose'),
});
/** The members that can do one thing, against the number that is needed. */
export type Prospect = z.infer<typeof prospectSchema>;

/** The abilities of the members together. */
const prospectsSchema = z.object({
  sign: prospectSchema.describe('use a key'),
  refresh: prospectSchema.describe('complete an epoch change; counts those who can attend'),
  recover: prospectSchema.describe('give a member its share again'),
});
export type Prospects = z.infer<typeof prospectsSchema>;

export const statusViewSchema = z.object({
  name: z.string(),
  peer: z.string().describe('libp2p peer id'),
  cluster: z.string().describe('cluster id, hex'),
  clusterName: z.string(),
  state: z.enum(['waiting-for-admission', 'member', 'evicted']),
  index: count.nullable(),
  fingerprint: z.string().nullable(),
  cipher: z.string().describe('this peer’s local cipher'),
  gate: z.number(),
  epoch: epoch.nullable(),
  threshold: count.describe('peers needed to use a key'),
  members: count,
  faults: count,
  quorum: count,
  faultModel: faultModelSchema,
  choice: z.string().nullable().describe('the sentence that says what n and k mean'),
  keys: count,
  shareEpochs: z.array(epoch).describe('epochs of which this peer holds its share'),
  leftovers: z
    .array(z.object({ kind: z.enum(['attended', 'dealt', 'subShares', 'epochSecrets']), count }))
    .describe('secrets of epochs that are over, still kept after they should have been erased: none, ever'),
  holders: names.describe(
    'members known here to hold their share of the newest epoch: this one, and who said so, signed (Ready); nobody in epoch 0, which has no key',
  ),
  connected: names.describe('other members with a proven connection'),
  roster: z.array(abilitySchema).describe('every member, and what it can do'),
  prospects: prospectsSchema.nullable().describe('what the members can do together; null before epoch 0'),
  lastChangeAtMs: timeMs.nullable(),
  nextRefreshAtMs: timeMs.nullable(),
  change: changeViewSchema.nullable(),
  pauses: z.array(pauseViewSchema).describe('holds and waits of the next change'),
  problems: z.array(problemViewSchema).describe('what is wrong; what stops the whole group comes first'),
  warnings: z
    .array(problemViewSchema)
    .describe('what works and has nothing to spare: `no-spare-to-sign`, `no-spare-to-refresh`'),
});
/** The answer to `GET /v1/status`: this peer, its group and their problems. */
export type StatusView = z.infer<typeof statusViewSchema>;

export const peerViewSchema = z.object({
  name: z.string(),
  peer: z.string().describe('libp2p peer id'),
  epochKey: z
    .string()
    .describe(
      'public epoch key, hex: of a waiting peer its first one, which the operator signs into the roster',
    ),
  state: z.enum(['member', 'waiting']),
  index: count.nullable(),
  connected: z.boolean(),
  authenticated: z.boolean(),
  self: z.boolean(),
  fingerprint: z.string().nullable(),
  addresses: z.array(z.string()),
  ability: abilitySchema.nullable().describe('what a member can do; null of a peer that waits'),
});
/** A member of the newest roster, or a peer that waits for admission. */
export type PeerView = z.infer<typeof peerViewSchema>;

export const epochViewSchema = z.object({
  epoch,
  value: z.string().describe('hash of the value, hex'),
  members: names,
  threshold: count,
  keys: names,
  dealt: names.describe('whose dealings were accepted; `operator` for a key’s creation'),
  didNotDeal: names.describe('members that attended without an accepted dealing'),
  missing: names.describe('members without an Attend in this change'),
  contradicted: names.describe('members caught with two contradicting messages'),
  blamed: z
    .array(
      z.object({
        member: z.string(),
        kind: blameKindSchema,
        evidence: z
          .enum(['own-signatures', 'own-check', 'accusations'])
          .describe(
            '`own-signatures`: two of the member’s signatures contradict each other; `own-check`: this peer found it; `accusations`: others say so, signed',
          ),
        accusers: names.describe('members whose signed accusation this peer holds'),
        certain: z
          .boolean()
          .describe(
            'anyone can check it, or more than `faults` members say so: not the word of one that may lie',
          ),
        proof: z
          .array(z.string())
          .describe(
            'two signed messages of the member that contradict each other, each as canonical CBOR `{body, signature}` in hex; none where they are long, or where it is another kind of evidence',
          ),
      }),
    )
    .describe('what members did wrong, and which evidence stands behind it'),
  pauses: z.array(pauseViewSchema).describe('for whom the change was held back, who was told to wait for it'),
  round: count.nullable(),
  decidedAtMs: timeMs.nullable(),
  retired: z.boolean(),
  retireProof: z
    .object({
      ready: names.describe('members that signed that they hold their new share: a quorum of the roster'),
      trials: names.describe(
        'keys with which the new shares made a trial signature, which verified under the public key',
      ),
    })
    .nullable()
    .describe(
      'why what is older may be erased, checked before it was; null in epoch 0, while it is missing, and where this peer was away and learned of the epoch later',
    ),
  verificationKeys: z
    .array(z.object({ key: z.string(), member: z.string(), hash: z.string() }))
    .describe(
      'verification key of every member for every key, as hashes: all change with every refresh; empty in a list of epochs',
    ),
});
/** One epoch of the history. */
export type EpochView = z.infer<typeof epochViewSchema>;

export const keyViewSchema = z.object({
  name: z.string(),
  id: z.string().describe('hex; what a request to use the key names'),
  kind: z.string().describe('such as rsa'),
  use: keyUseSchema,
  bits: count,
  public: z
    .string()
    .describe('lower-case hex: all public values, in the encoding of the kind; the id binds them'),
  pem: z.string().describe('the public key for other programs'),
});
/** A key of the group. */
export type KeyView = z.infer<typeof keyViewSchema>;

/**
 * Everything that the dealer of a new key needs (§4, "Creation"): the newest link, and the plan with the
 * dealer's order, with its Attends and orders. The dealer trusts none of it and checks all.
 */
export interface CreationView {
  head: Link;
  plan: Uint8Array | null;
  attends: Packet[];
  orders: Order[];
}

/**
 * A plan of the undecided change: its hash in hex, the number of its orders, and the indices of the members
 * that attend it.
 */
export interface PlanView {
  plan: string;
  orders: number;
  attending: number[];
}

/**
 * The interface that the API serves. An operator signs everything that changes the group, and a client signs
 * every use of a key. Methods reject with `DaemonError`, or throw it.
 */
export interface DaemonApi {
  status(): StatusView;
  peers(): PeerView[];
  /** The last `limit` epochs (20 by default), newest first. */
  epochs(limit?: number): Promise<EpochView[]>;
  /** The newest epochs, without a look at the disk. Older epochs never change. */
  newestEpochs(): EpochView[];
  /**
   * One epoch with its verification keys. Workers compute them.
   * @throws DaemonError (as a rejection) `unknown`, `busy`
   */
  epoch(epoch: number): Promise<EpochView>;
  keys(): KeyView[];
  /** The beginning and the end of the audit log. All lines between them are durable. */
  audit(): AuditExtent;
  /** Opens the lobby for `openForMs` milliseconds, and gives the invitation's text. */
  invite(openForMs: number): Promise<string>;
  /**
   * Takes the operators' epoch 0.
   * @throws DaemonError (as a rejection) `refused` when there is one already, `not-founded`
   */
  found(link: Link): Promise<void>;
  /**
   * Hands in an operators' order. Resolves when it is durable here.
   * @throws DaemonError (as a rejection) `refused` when it does not fit the newest value, `unwritable`
   */
  submitOrder(order: Order): Promise<void>;
  /** The plan with this order that the most members attend, for the dealer of a new key. */
  creation(orderHash: Uint8Array): CreationView;
  /** The plans of the undecided change, from which `creation` answers. */
  plans(): PlanView[];
  /** Takes the dealing packets of the operator's command (`by` is 0), one for each receiver. */
  submitDealings(packets: readonly Packet[]): Promise<void>;
  /**
   * A bounded piece of the chain, from epoch `from` on.
   * @throws DaemonError (as a rejection) `unknown` when this peer no longer has it
   */
  links(from: number): Promise<Link[]>;
  /** Begins an epoch change as soon as the minimum interval allows it. */
  refresh(): void;
  /**
   * Asks `k` members for partials and combines them. `gone` aborts when the client no longer waits.
   * @throws DaemonError (as a rejection) `not-enough-peers` when `timeoutMs` passes or `gone` aborts,
   * `refused`, `unwritable`
   */
  sign(request: UseRequest<SignBody>, timeoutMs: number, gone?: AbortSignal): Promise<SignAnswer>;
  /**
   * Gives sealed partials, which the client combines. They come from the first `k` members. With `prove` they
   * come with proofs, from all members that answer at most a moment later.
   * @throws DaemonError (as a rejection) as `sign` does
   */
  decrypt(
    request: UseRequest<DecryptBody>,
    options: { prove: boolean; timeoutMs: number; gone?: AbortSignal },
  ): Promise<DecryptAnswer>;
  /**
   * Calls `listener` when something happened (an epoch was decided or retired, a peer connected, …). The
   * returned function removes the listener. Changes by time alone are not reported: `api/changes.ts` looks
   * for those.
   */
  onChange(listener: () => void): () => void;
}
