/** §5 step 3, blame: false sums, masks and trials name their author, at whoever could see it, and stop nothing. */
import { expect, test } from 'vitest';
import { decodeSigned, encodeSigned } from '../../src/crypto/integers.ts';
import { type BlameView, blameInWords, blameViews } from '../../src/node/views/blame-views.ts';
import type { Job } from '../../src/protocol/machine/io.ts';
import { holdsShare, signingSecret } from '../../src/protocol/machine/queries.ts';
import { dealingPublicSchema, type Frame, readySchema } from '../../src/protocol/records/change-messages.ts';
import { decode, encode } from '../../src/protocol/records/codec.ts';
import { signPacket } from '../../src/protocol/records/packet.ts';
import { type Of, recoveryMessageSchema } from '../../src/protocol/records/recovery-messages.ts';
import type { Group } from '../../src/simulation/world/group.ts';
import { fired, fivePeers } from './support.ts';

type Mask = Of<'recover-mask'>;
const peers = [1, 2, 3, 4, 5];

/** Who blames whom for what, of the newest epoch: `p5: p2 false-sum`. */
const blamed = (group: Group): string[] =>
  peers.flatMap((by) =>
    blameViews(group.state(by), group.epochOf(by)).map(({ member, kind }) => `p${by}: ${member} ${kind}`),
  );
const blameAt = (group: Group, by: number): BlameView => {
  const [view] = blameViews(group.state(by), group.epochOf(by));
  if (view === undefined) throw new Error(`p${by} blames nobody`);
  return view;
};

const otherNumber = (bytes: Uint8Array): Uint8Array => encodeSigned(decodeSigned(bytes) + 1n);

/** p5 was away for one refresh and is back; the helpers that its runs named, by run. */
async function fifthRecovers(group: Group): Promise<number[][]> {
  await group.stop(5);
  const epoch = await group.refresh();
  const runs: number[][] = [];
  await group.restart(5);
  await group.until(
    () => {
      const run = group.state(5).volatile.recovery.asking?.run;
      const named = run?.helpers ?? [];
      if (named.length > 0 && runs.at(-1)?.join() !== named.join()) runs.push([...named]);
      return group.epochOf(5) === epoch && holdsShare(group.state(5));
    },
    30_000,
    'the recovery',
  );
  return runs;
}

/** What p2 sends instead of its masks, signed with its key. */
function masksAs(group: Group, lie: (mask: Mask, to: string) => Mask[]): void {
  group.intercept = ({ from, to }, frame): Frame[] => {
    if (from !== 'p2' || frame.type !== 'recovery') return [frame];
    const message = decode(recoveryMessageSchema, frame.packet.body);
    const secret = signingSecret(group.state(2))?.secret;
    if (message.type !== 'recover-mask' || secret === undefined) return [frame];
    return lie(message, to).map((mask) => ({
      ...frame,
      packet: signPacket(group.state(2).clusterId, secret, encode(mask)),
    }));
  };
}

test('a false sum: the next run leaves that helper out, and who recovered shows the blame', async () => {
  const beforeJob = (node: string, job: Job) => {
    if (node === 'p2' && job.kind === 'sum')
      job.keys = job.keys.map((key) => ({ ...key, share: otherNumber(key.share) }));
    return undefined;
  };
  const group = await fivePeers({ beforeJob });
  expect(await fifthRecovers(group)).toEqual([
    [1, 2, 3, 4],
    [1, 3, 4],
  ]);
  expect(fired(group, 5, 'recover-again', { without: 1 })).toBe(true);
  // Nobody else could open the sum.
  expect(blamed(group)).toEqual(['p5: p2 false-sum']);
  expect(blameAt(group, 5)).toMatchObject({ evidence: 'own-check', certain: false, proof: [] });
  expect(blameInWords(blameAt(group, 5))).toBe('false sum (found here: nobody else can check it)');
});

test('a false mask: the helper that was dealt it blames its dealer, and one run is enough', async () => {
  const group = await fivePeers();
  masksAs(group, (mask, to) => {
    const envelopes = mask.envelopes.map((envelope) =>
      envelope.map((byte, at) => (at > 50 ? byte ^ 1 : byte)),
    );
    return [to === 'p1' ? { ...mask, envelopes } : mask];
  });
  expect(await fifthRecovers(group)).toHaveLength(1);
  expect(blamed(group)).toEqual(['p1: p2 false-mask']);
  expect(blameAt(group, 1)).toMatchObject({ evidence: 'own-check', certain: false, proof: [] });
});

/** Another public half for the same run, which fits its shape. */
function otherMask(mask: Mask): Mask {
  const { parts, ...half } = decode(dealingPublicSchema, mask.public);
  const other = parts.map((part) => ({ ...part, commitments: [...part.commitments].reverse() }));
  return { ...mask, public: encode({ ...half, parts: other }) };
}

test('two masks of one run: who recovers blames the helper that showed it both, by its own word', async () => {
  const group = await fivePeers();
  masksAs(group, (mask, to) => (to === 'p5' ? [mask, otherMask(mask)] : [mask]));
  expect(await fifthRecovers(group)).toHaveLength(1);
  expect(blamed(group)).toEqual(['p5: p2 contradiction']);
  // The first of the two is gone once it was opened: there is nothing that others could check.
  expect(blameAt(group, 5)).toMatchObject({ evidence: 'own-check', certain: false, proof: [] });
});

test('another mask for who recovers than for the helpers: its author is not chosen, and nobody saw both to blame it', async () => {
  const group = await fivePeers();
  masksAs(group, (mask, to) => [to === 'p5' ? otherMask(mask) : mask]);
  expect(await fifthRecovers(group)).toHaveLength(1);
  expect(fired(group, 2, 'recover-accept')).toBe(false);
  expect([1, 3, 4].map((index) => fired(group, index, 'recover-accept'))).toEqual([true, true, true]);
  expect(blamed(group)).toEqual([]);
});

test('a false trial: whoever combines it blames its author, and retires without it', async () => {
  const beforeJob = (node: string, job: Job) => {
    if (node === 'p2' && job.kind === 'trial')
      job.keys = job.keys.map(({ setting, share }) => ({ setting, share: otherNumber(share) }));
    return undefined;
  };
  const group = await fivePeers({ beforeJob, key: false });
  await group.createKey();
  await group.refresh();
  const blames = blamed(group);
  expect(blames.length).toBeGreaterThan(0);
  for (const blame of blames) expect(blame).toMatch(/^p[1-5]: p2 false-trial$/);
  const [by] = blames.map((blame) => Number(blame[1]));
  expect(blameAt(group, by as number)).toMatchObject({ evidence: 'own-check', certain: false });
  for (const index of peers) {
    const { retires, own } = group.state(index).durable;
    const ready = retires[own.head]?.readys.map(({ body }) => decode(readySchema, body).by);
    if (index !== 2) expect(ready).not.toContain(2);
  }
});
