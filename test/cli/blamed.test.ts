/** `holdfast epochs` and `holdfast status` say who did what, and which evidence stands behind it, whichever that is. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type BlameView, blameViews } from '../../src/node/views/blame-views.ts';
import { problemsOf } from '../../src/node/views/problems.ts';
import type { Blame } from '../../src/protocol/machine/durable-state.ts';
import type { CoreState } from '../../src/protocol/machine/state.ts';
import type { Packet } from '../../src/protocol/records/packet.ts';
import { fivePeers, forge, messageIn } from '../scenarios/support.ts';
import type { ServedGroup } from '../support/served-group.ts';
import { Bench } from './holdfast.ts';

const bench = new Bench();
let group: ServedGroup;
let views: BlameView[];

/** What members know of epoch 2, in which p5 dealt falsely to p1 and p2, and p4 to p1 alone. */
async function statesAfterLies(): Promise<Record<'dealtTo' | 'told', CoreState>> {
  const real = await fivePeers();
  const victims: Record<string, string[]> = { p5: ['p1', 'p2'], p4: ['p1'] };
  real.intercept = ({ from, to }, frame) => {
    const message = messageIn(frame);
    if (message?.type !== 'dealing' || !victims[from]?.includes(to)) return [frame];
    const envelopes = message.envelopes.map((envelope) =>
      envelope.map((byte, at) => (at > 50 ? byte ^ 1 : byte)),
    );
    return [forge(real.state(Number(from.slice(1))), { ...message, envelopes })];
  };
  await real.refresh();
  return { dealtTo: real.state(1), told: real.state(3) };
}

/** The same with blames of the other kinds. */
function withBlames(state: CoreState, more: readonly Blame[]): CoreState {
  const blames = { ...state.durable.blames };
  for (const blame of more) blames[`${blame.epoch}/${blame.by}/${blame.kind}`] = blame;
  return { ...state, durable: { ...state.durable, blames } };
}

const packet: Packet = { body: new Uint8Array(9), signature: new Uint8Array(64) };
const kinds: Blame[] = [
  { epoch: 2, by: 2, kind: 'contradiction', proof: [packet, packet] },
  { epoch: 2, by: 3, kind: 'contradiction' },
  { epoch: 2, by: 2, kind: 'false-trial' },
  { epoch: 2, by: 2, kind: 'false-sum' },
  { epoch: 2, by: 2, kind: 'false-mask' },
];

beforeAll(async () => {
  const { dealtTo, told } = await statesAfterLies();
  const states = [withBlames(dealtTo, kinds), told];
  views = states.flatMap((state) => blameViews(state, 2));
  await bench.init();
  group = await bench.serve(['b', 'c', 'd', 'e']);
  const fingerprints = ['b', 'c', 'd', 'e'].map((name) => group.fingerprint(name));
  await bench.must(['admit', 'b', 'c', 'd', 'e', '--yes', ...fingerprints]);
  while (group.head.epoch < 2) await group.refreshed();
  const honest = group.epoch.bind(group);
  group.epoch = async (epoch) => ({ ...(await honest(epoch)), ...(epoch === 2 ? { blamed: views } : {}) });
  const clocks = { nowMs: dealtTo.volatile.nowMs, wallMs: dealtTo.volatile.wallMs };
  const reachable = new Set(dealtTo.durable.links[2]?.value.roster.map(({ peer }) => peer));
  group.shown = { problems: states.flatMap((state) => problemsOf(state, null, reachable, clocks)) };
});
afterAll(() => bench.close());

/** Every kind of wrong, with every kind of evidence that it can have; who reads knows how far to trust it. */
const signed = 'its own signatures show it: certain';
const foundHere = 'found here: nobody else can check it';
const byOne = 'accused by p1: not certain: the accuser may lie';
const byMore = 'accused by p1, p2: certain';
const wrongs: [member: string, what: string, evidence: string, lookAt: string][] = [
  ['p2', 'contradiction', signed, "p2's machine; evict it if it was broken into"],
  ['p3', 'contradiction', foundHere, "p3's machine, and at this one"],
  ['p2', 'false trial', foundHere, "p2's machine, and at this one"],
  ['p2', 'false sum', foundHere, "p2's machine, and at this one"],
  ['p2', 'false mask', foundHere, "p2's machine, and at this one"],
  ['p5', 'false sub share', `found here; ${byMore}`, "p5's machine; evict it if it was broken into"],
  ['p4', 'false sub share', `found here; ${byOne}`, "p4's and p1's machines: one of them is wrong"],
  ['p5', 'false sub share', byMore, "p5's machine; evict it if it was broken into"],
  ['p4', 'false sub share', byOne, "p4's and p1's machines: one of them is wrong"],
];

test('each kind of wrong stands there with its evidence: in one epoch’s history and in the status, alike', async () => {
  const history = await bench.must(['epochs', '2']);
  const status = await bench.must(['status']);
  for (const [member, what, evidence, lookAt] of wrongs) {
    const said = `${member}: ${what} (${evidence})`;
    expect(history.split('\n')).toContain(`blamed        ${said}`);
    const warned = `! ${member} did wrong in epoch 2: ${what} (${evidence}). Look at ${lookAt}`;
    expect(status).toContain(warned);
  }
  const count = (text: string, pattern: RegExp) => text.match(pattern)?.length;
  expect(count(history, /^blamed /gm)).toBe(wrongs.length);
  expect(count(status, /did wrong in epoch 2/g)).toBe(wrongs.length);
});

test('the list of epochs names each of them once, and no epoch of which nobody is blamed', async () => {
  const rows = (await bench.must(['epochs'])).trimEnd().split('\n');
  const column = (rows[0] ?? '').indexOf('blamed');
  const blamedOf = rows.slice(1).map((row) => [row.split(' ')[0], row.slice(column).split(' ')[0]]);
  expect(blamedOf).toEqual([
    ['2', [...new Set(views.map(({ member }) => member))].join(',')],
    ['1', '-'],
    ['0', '-'],
  ]);
});

test('as JSON they have the same, and the two signed messages where there are two', async () => {
  const { blamed } = JSON.parse(await bench.must(['epochs', '2', '--json']));
  expect(blamed).toEqual(views);
  const proven = views.filter(({ proof }) => proof.length > 0);
  expect(proven.map(({ member, kind, proof }) => [member, kind, proof.length])).toEqual([
    ['p2', 'contradiction', 2],
  ]);
});
