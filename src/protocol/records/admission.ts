/**
 * The lobby's messages and the founding of a cluster (§4 "Beginning"): a peer asks for admission with its identity and
 * first epoch key; the operator compares fingerprints; epoch 0 is the roster that the operator signs.
 */

import { z } from 'zod';
import { hashOf } from '../../crypto/hash.ts';
import { decode, encode, envelope, hex, shape } from './codec.ts';
import { genesisSchema } from './genesis.ts';
import { limits } from './limits.ts';
import { linkSchema } from './link.ts';
import { orderSchema } from './order.ts';
import { present } from './present.ts';
import { around, checkTextVersion, record } from './version.ts';

const invitationSchema = record('an invitation', 1, {
  genesis: genesisSchema,
  /** Multiaddresses of the lobby, each ending in `/p2p/<peer id>`. */
  lobby: z.array(z.string().max(limits.addressBytesMax)).min(1).max(limits.addressesPerMemberMax),
});
export type Invitation = z.infer<typeof invitationSchema>;

const prefix = 'holdfast1';
export const invitationText = (invitation: Invitation): string =>
  prefix + Buffer.from(encode(invitation)).toString('base64url');
/**
 * Parses an invitation.
 * @throws ProtocolError `other-version` for a later version, `bad-genesis`, or `malformed` for anything else
 */
export function parseInvitation(text: string): Invitation {
  const body = text.trim();
  checkTextVersion(invitationSchema.record, /^holdfast(\d+)(?!\d)/, body);
  const bytes = body.startsWith(prefix)
    ? Buffer.from(body.slice(prefix.length), 'base64url')
    : Buffer.alloc(0);
  return decode(invitationSchema, new Uint8Array(bytes), 16 * 1024);
}

const admissionBodySchema = record('a request for admission', 1, {
  cluster: shape.hash,
  name: shape.name,
  peer: shape.peer,
  epochKey: shape.key32,
  addresses: z.array(z.string().max(limits.addressBytesMax)).max(limits.addressesPerMemberMax),
});
export type AdmissionBody = z.infer<typeof admissionBodySchema>;

/** Signed by the libp2p identity and by the first epoch key, both over the same digest. */
export const admissionSchema = around(
  admissionBodySchema.record,
  z.strictObject({
    body: admissionBodySchema,
    identitySignature: shape.signature,
    epochSignature: shape.signature,
  }),
);
export type Admission = z.infer<typeof admissionSchema>;
export const digestOfAdmission = (body: AdmissionBody): Uint8Array =>
  hashOf('holdfast/admission/1', encode(body));

/** Shown on both sides and compared by people: 80 bits, in groups of four hex digits. */
export function fingerprintOf(body: Pick<AdmissionBody, 'cluster' | 'peer' | 'epochKey'>): string {
  const digest = hashOf(
    'holdfast/fingerprint/1',
    body.cluster,
    new TextEncoder().encode(body.peer),
    body.epochKey,
  );
  return present(hex(digest.subarray(0, 10)).match(/.{4}/g), 'a digest').join('-');
}

/** What the lobby answers: still waiting, or the newest links to start from and where members listen. */
const lobbyAnswerSchema = z.discriminatedUnion('status', [
  z.strictObject({
    status: z.literal('waiting'),
    fingerprint: z.string().max(64),
    epoch: shape.epoch.nullable(),
  }),
  z.strictObject({ status: z.literal('refused'), reason: z.string().max(256) }),
  z.strictObject({
    status: z.literal('admitted'),
    genesis: genesisSchema,
    /** Of a later joiner: the order that admits it; the first link is the value that the order names. */
    order: orderSchema.nullable(),
    links: z.array(linkSchema).min(1).max(limits.linksPerFrameMax),
    addresses: z
      .array(
        z.strictObject({
          peer: shape.peer,
          addresses: z.array(z.string().max(limits.addressBytesMax)).max(limits.addressesPerMemberMax),
        }),
      )
      .max(limits.membersMax),
  }),
]);
export type LobbyAnswer = z.infer<typeof lobbyAnswerSchema>;
export const lobbyAnswers = envelope('an answer of the lobby', 1, lobbyAnswerSchema);
