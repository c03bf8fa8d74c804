/** §5: helpers and recovering members that say what no honest one would, and what it costs the others. */
import { afterEach, expect, test } from 'vitest';
import { sealingKeyFromSeed } from '../../src/crypto/key-agreement.ts';
import { signingSecret } from '../../src/protocol/machine/queries.ts';
import { type Frame, frameEnvelope } from '../../src/protocol/records/change-messages.ts';
import { decode, encode } from '../../src/protocol/records/codec.ts';
import { signPacket } from '../../src/protocol/records/packet.ts';
import {
  hashOfRun,
  type RecoveryMessage,
  recoveryMessageSchema,
} from '../../src/protocol/records/recovery-messages.ts';
import { type Group, groupWithKey } from '../../src/simulation/world/group.ts';

let group: Group;
afterEach(() => group.stopAll());

/** The last of `peers` was away for one refresh, and its store is open again. */
async function lastComesBack(options: { peers: number; threshold: number }, hostile: Hostile): Promise<void> {
  group = await groupWithKey(options);
  await group.stop(options.peers);
  await group.refresh(1);
  group.intercept = ({ from }, frame) => [lieOf(Number(from.slice(1)), frame, hostile)];
  await group.restart(options.peers);
}

/** What a member says instead of a message of a recovery; null leaves it. */
type Hostile = (by: number, message: RecoveryMessage) => RecoveryMessage | null;

function lieOf(by: number, frame: Frame, hostile: Hostile): Frame {
  if (frame.type !== 'recovery') return frame;
  const lie = hostile(by, decode(recoveryMessageSchema, frame.packet.body));
  const signer = signingSecret(group.state(by));
  if (lie === null || signer === null) return frame;
  return { ...frame, packet: signPacket(group.state(by).clusterId, signer.secret, encode(lie)) };
}

const refusals = (from: number): number =>
  group.trace.filter(({ output }) => output.type === 'refused' && output.from === group.node(from).peer)
    .length;

test('two helpers that grant with one key stop no recovery, and the member that recovers is blamed by nobody', async () => {
  const twin = new Uint8Array(32).fill(9);
  await lastComesBack({ peers: 7, threshold: 3 }, (by, message) =>
    message.type === 'recover-grant' && by <= 2 ? { ...message, sealingKey: twin } : null,
  );
  await group.until(() => group.printed(7).includes('recovered'), 10_000);
  const runs = group.printed(7).filter((rule) => rule === 'recover-run');
  expect(runs).toHaveLength(1);
  // Each of the two finds a key in the run that is not what it said itself before its word was changed on the way.
  const refusing = group.trace.filter(({ output }) => output.type === 'refused').map(({ node }) => node);
  expect(new Set(refusing).size).toBeLessThanOrEqual(1);
});

test('a run with a sealing key of small order gets no mask and no job, and its author is named', async () => {
  await lastComesBack({ peers: 5, threshold: 3 }, (_, message) => {
    if (message.type !== 'recover-run') return null;
    const { run: __, ...named } = { ...message, sealingKey: new Uint8Array(32) };
    return { ...named, run: hashOfRun(encode(named)) };
  });
  await group.run(5_000);
  expect(refusals(5)).toBeGreaterThan(0);
  for (const index of [1, 2, 3, 4]) {
    expect(group.printed(index)).not.toContain('recover-mask');
    expect(group.state(index).volatile.jobs).toEqual({});
  }
});

test('nobody asks for a share in the name of another: no grant, and no change is held back for it', async () => {
  group = await groupWithKey({ peers: 5, threshold: 3 });
  const { clusterId } = group.state(5);
  const { secret } = signingSecret(group.state(5)) as { secret: Uint8Array };
  const ask = { v: 1, type: 'recover-ask', by: 4, epoch: group.epochOf(1), nonce: group.random(32) };
  const packet = signPacket(clusterId, secret, encode(ask));
  const frame = frameEnvelope.encode({ type: 'recovery', packet, beside: [] });
  await group.node(1).driver?.dispatch({ type: 'frame', from: 'peer-0005', authenticated: true, frame });
  expect(refusals(5)).toBe(1);
  expect(group.state(1).volatile.recovery.granted).toEqual({});
  expect(group.state(1).volatile.recovery.hold).toBeNull();
});

test('a run that names a key which its helper did not grant gets no mask: else its author would read the masks', async () => {
  const { publicKey: own } = sealingKeyFromSeed(new Uint8Array(32).fill(7));
  await lastComesBack({ peers: 5, threshold: 3 }, (_, message) => {
    if (message.type !== 'recover-run') return null;
    const helpers = message.helpers.map((helper) =>
      helper.index === 2 ? { ...helper, sealingKey: own } : helper,
    );
    const { run: __, ...named } = { ...message, helpers };
    return { ...named, run: hashOfRun(encode(named)) };
  });
  await group.until(() => refusals(5) >= 4);
  await group.run(5_000);
  for (const index of [1, 2, 3, 4]) expect(group.printed(index)).not.toContain('recover-mask');
});
