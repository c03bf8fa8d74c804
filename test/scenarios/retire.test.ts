/** §4.5 Retire: nothing older than the newest epoch stays, and nothing goes before the new shares have signed. */
import { expect, test } from 'vitest';
import { emptyDurable } from '../../src/protocol/machine/durable-state.ts';
import { selfIn } from '../../src/protocol/machine/queries.ts';
import { frameEnvelope, type RetireProof } from '../../src/protocol/records/change-messages.ts';
import { hex } from '../../src/protocol/records/codec.ts';
import { flipped } from '../protocol/support.ts';
import { fired, fivePeers } from './support.ts';

const peers = [1, 2, 3, 4, 5];

test('after Retire a peer and its store hold the public chain, its history, and of secrets only those of the newest epoch', async () => {
  const group = await fivePeers();
  await group.refresh(1);
  await group.refresh(2);
  await group.run(5_000);
  for (const peer of peers) {
    const { durable } = group.state(peer);
    const epochKey = hex(selfIn(group.state(peer))?.epochKey ?? new Uint8Array());
    const left: Record<string, string[]> = {
      links: ['0', '1', '2', '3'],
      retires: ['1', '2', '3'],
      notes: ['0', '1', '2', '3'],
      shares: ['3'],
      epochSecrets: [epochKey],
      readys: ['1', '2', '3', '4', '5'],
    };
    for (const section of Object.keys(emptyDurable()))
      if (section !== 'own')
        expect(Object.keys(durable[section as keyof typeof durable]), `${section} of p${peer}`).toEqual(
          left[section] ?? [],
        );
    expect(durable.own).toEqual({
      ...{ head: 3, oldest: 0, retired: 3 },
      ...{ rounds: null, forced: null, drawn: null, muted: null },
    });
    const chain = [0, 1, 2, 3].map((epoch) => `chain/00000000${epoch}`);
    expect([...group.node(peer).home.records.keys()].sort()).toEqual(
      [
        ...chain,
        ...chain.slice(1).map((name) => `${name}-retire`),
        ...chain.map((name) => `${name}-note`),
        ...[0, 1, 2, 3].flatMap((epoch) => [`notes/${epoch}`, `links/${epoch}`]),
        ...[1, 2, 3].map((epoch) => `retires/${epoch}`),
        'shares/3',
        `epochSecrets/${epochKey}`,
        ...peers.map((index) => `readys/${index}`),
        'own',
      ].sort(),
    );
  }
});

test('a retire proof whose trial signature is false lets nobody erase the older share', async () => {
  const group = await fivePeers();
  // p1 hears of no Ready and of no proof.
  group.intercept = ({ to }, frame) =>
    to === 'p1' && (frame.type === 'retire' || (frame.type === 'message' && frame.message.trials))
      ? []
      : [frame];
  group.node(1).driver?.refresh();
  await group.until(() => [2, 3, 4, 5].every((peer) => group.state(peer).durable.own.retired === 2));
  await group.until(() => fired(group, 1, 'ready', { epoch: 2 }));
  const proof = group.state(2).durable.retires[2] as RetireProof;
  const [signature] = proof.proofs as [Uint8Array];
  const tell = (told: RetireProof) =>
    group.node(1).driver?.dispatch({
      type: 'frame',
      from: group.node(2).peer,
      authenticated: true,
      frame: frameEnvelope.encode({ type: 'retire', proof: told }),
    });
  const old = group.state(2).durable.retires[1] as RetireProof;
  const false_ = [flipped(signature, signature.length - 1), old.proofs[0] as Uint8Array, new Uint8Array([1])];
  for (const other of false_) await tell({ ...proof, proofs: [other] });
  await group.run(2_000);
  expect(group.state(1).durable.retires[2]).toBeUndefined();
  expect(Object.keys(group.state(1).durable.shares)).toEqual(['1', '2']);
  const refused = group
    .node(1)
    .outputs.flatMap((output) => (output.type === 'refused' ? [output.why.replace(/.*: /, '')] : []));
  expect(refused).toEqual(false_.map(() => 'the proof of a key is false'));
  await tell(proof);
  await group.run(2_000);
  expect(Object.keys(group.state(1).durable.shares)).toEqual(['2']);
});
