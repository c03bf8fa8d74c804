/** What people carry from one machine to another: invitations and fingerprints. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  fingerprintOf,
  type Invitation,
  invitationText,
  parseInvitation,
} from '../../src/protocol/records/admission.ts';
import { encode, hex } from '../../src/protocol/records/codec.ts';
import { clusterIdOf } from '../../src/protocol/records/genesis.ts';
import { paperCluster } from '../../src/simulation/world/paper.ts';
import { flipped, refusalOf } from './support.ts';

const paper = paperCluster();
const invitation: Invitation = {
  v: 1,
  genesis: paper.genesis,
  lobby: ['/ip4/127.0.0.1/tcp/4100/p2p/peer-0001'],
};
const text = invitationText(invitation);

const encoded = (data: object): string => Buffer.from(encode(data)).toString('base64url');

describe('an invitation', () => {
  test('comes back as it was, with spaces around it too', () => {
    for (const sent of [text, `  ${text}\n`]) expect(parseInvitation(sent)).toEqual(invitation);
    expect(hex(clusterIdOf(parseInvitation(text).genesis))).toBe(hex(paper.clusterId));
  });
  test('carries no secret', () => {
    const bytes = Buffer.from(text.slice('holdfast1'.length), 'base64url').toString('hex');
    for (const seed of [...paper.operatorSeeds, ...paper.epochSeeds]) expect(bytes).not.toContain(hex(seed));
  });
  test('that was damaged is refused, or names another cluster, or another lobby', () => {
    fc.assert(
      fc.property(fc.nat(text.length - 1), fc.constantFrom('A', 'z', '0', '_', '!'), (at, letter) => {
        const damaged = text.slice(0, at) + letter + text.slice(at + 1);
        if (damaged === text) return;
        try {
          const read = parseInvitation(damaged);
          const same = hex(clusterIdOf(read.genesis)) === hex(paper.clusterId);
          // The last letter holds bits that are no part of any byte.
          if (same && at < text.length - 1) expect(read.lobby).not.toEqual(invitation.lobby);
        } catch (error) {
          expect((error as { code: string }).code).toMatch(/^(?:malformed|bad-genesis|other-version)$/);
        }
      }),
      { numRuns: 300 },
    );
  });
  test.each(['', 'holdfast1', 'hello', text.slice(0, -8), text.slice(9)])('%j is none', (wrong) => {
    expect(refusalOf(() => parseInvitation(wrong))).toBe('malformed');
  });
  test('of a later version is named as such', () => {
    for (const later of ['holdfast2abc', 'holdfast17', `${text.slice(0, 9)}${encoded({ v: 2, more: 1 })}`])
      expect(
        refusalOf(() => parseInvitation(later)),
        later,
      ).toBe('other-version');
  });
  test('of any size is read within bounds', () => {
    expect(refusalOf(() => parseInvitation(`holdfast1${'A'.repeat(100_000)}`))).toBe('malformed');
  });
});

describe('a fingerprint', () => {
  const request = { cluster: paper.clusterId, peer: 'peer-0009', epochKey: paper.roster[0]!.epochKey };
  test('is 80 bits in groups of four digits', () => {
    expect(fingerprintOf(request)).toMatch(/^[0-9a-f]{4}(?:-[0-9a-f]{4}){4}$/);
    expect(fingerprintOf({ ...request })).toBe(fingerprintOf(request));
  });
  test('changes with cluster, identity and epoch key', () => {
    const all = [
      fingerprintOf(request),
      fingerprintOf({ ...request, cluster: flipped(request.cluster) }),
      fingerprintOf({ ...request, peer: 'peer-0008' }),
      fingerprintOf({ ...request, epochKey: flipped(request.epochKey) }),
    ];
    expect(new Set(all).size).toBe(4);
  });
});
