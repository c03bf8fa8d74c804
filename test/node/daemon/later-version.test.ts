/**
 * A home in which a later version of Holdfast wrote anything: the daemon names what it cannot read, does not start, and
 * changes no byte.
 */
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { encode } from 'cborg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDaemon } from '../../../src/node/daemon/daemon.ts';
import { openHome } from '../../../src/node/home/home.ts';
import { silentLog } from '../../../src/node/log.ts';
import { FileStore } from '../../../src/node/store/file-store.ts';
import { foundDurable } from '../../../src/protocol/machine/create.ts';
import { durableDelta, recordName } from '../../../src/protocol/machine/durable-records.ts';
import { emptyDurable } from '../../../src/protocol/machine/durable-state.ts';
import { invitationText } from '../../../src/protocol/records/admission.ts';
import { encodeStored } from '../../../src/protocol/records/stored.ts';
import { orderOn, paperCluster } from '../../../src/simulation/world/paper.ts';
import { seededBytes } from '../../../src/simulation/world/virtual-time.ts';
import { Bench } from '../../cli/holdfast.ts';

const paper = paperCluster();
const random = seededBytes('a later version');
const order = orderOn(paper, paper.founding.value, { type: 'evict', index: 5 });
const later = (record: object): object => ({ ...record, v: 2, later: [1] });

let bench: Bench;
beforeAll(async () => {
  bench = new Bench();
  await bench.init(['--set', 'mdns=false']);
  const [seed] = paper.epochSeeds as [Uint8Array];
  const [{ epochKey: publicKey }] = paper.roster as [(typeof paper.roster)[0]];
  const durable = foundDurable(paper.genesis, paper.founding, { seed, publicKey }, 0);
  await write('A', durableDelta(emptyDurable(), durable).puts);
  mkdirSync(join(bench.path('A'), 'audit'), { mode: 0o700 });
});
afterAll(() => bench.close());

async function write(name: string, puts: ReadonlyArray<readonly [string, Uint8Array]>): Promise<void> {
  const store = new FileStore({
    folder: join(bench.path(name), 'store'),
    cipher: 'aes',
    randomBytes: random,
  });
  await store.open();
  await store.commit({ puts: puts.map(([key, value]) => [key, value]), deletes: [] });
  await store.close();
}

/** Every file of a folder with its content, and every folder. */
const contentsOf = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .sort()
      .map((name) => {
        const path = join(folder, name);
        return [name, statSync(path).isFile() ? readFileSync(path, 'hex') : 'a folder'];
      }),
  );

const vaultFile = (dir: string, start: string): string => {
  const vault = join(dir, 'store/vault');
  return join(vault, readdirSync(vault).find((name) => name.startsWith(start)) as string);
};

/** The journal's first frame as a later version, whole. */
function laterFrame(dir: string): void {
  const path = vaultFile(dir, 'journal');
  const frame = readFileSync(path);
  frame.writeUInt16BE(2, 2);
  const sealed = frame.subarray(28, 28 + frame.readUInt32BE(8));
  createHash('sha256').update(frame.subarray(0, 12)).update(sealed).digest().copy(frame, 12, 0, 16);
  writeFileSync(path, frame);
}

function laterSlot(dir: string): void {
  const slot = encode([99, 1, random(32)]);
  writeFileSync(vaultFile(dir, 'key'), Buffer.concat([slot, createHash('sha256').update(slot).digest()]));
}

const put = (name: string, record: Uint8Array) => (home: string) => write(home, [[name, record]]);
const packet = { body: encode({ v: 2, type: 'attend' }), signature: random(64) };
const auditLine = JSON.stringify({ v: 2, line: 1, at: 'x', event: 'y', previous: '0'.repeat(64) });

const cases: Record<string, { says: string; make: (name: string) => unknown }> = {
  'a record of the store': {
    says: 'a record of the store has version 2',
    make: put('own', encode(later({ content: {} }))),
  },
  'a record of a name that this version does not know': {
    says: 'a record of the store has version 2',
    make: put('approvals/1', encode(later({}))),
  },
  'a link': {
    says: 'a link has version 2',
    make: put(recordName('links', 0), encodeStored(later(paper.founding))),
  },
  'a value in a link': {
    says: 'a value has version 2',
    make: put(
      recordName('links', 0),
      encodeStored({ ...paper.founding, value: later(paper.founding.value) }),
    ),
  },
  'an order that is pending': {
    says: 'an order has version 2',
    make: put(recordName('orders', 1), encodeStored({ ...order, body: later(order.body) })),
  },
  'a message of the undecided change': {
    says: 'a message of an epoch change has version 2',
    make: put(recordName('attends', `${'00'.repeat(32)}/1`), encodeStored({ packet })),
  },
  'a record behind which a commit is torn': {
    says: 'a record of the store has version 2',
    make: async (name) => {
      await write(name, [['own', encode(later({}))]]);
      appendFileSync(vaultFile(bench.path(name), 'journal'), Uint8Array.of(0x48, 0x46, 0, 1, 0));
    },
  },
  'a record beside files of its own': {
    says: 'a record of the store has version 2',
    make: async (name) => {
      await write(name, [['own', encode(later({}))]]);
      writeFileSync(join(bench.path(name), 'store/vault/index-7'), 'of a later version', { mode: 0o600 });
      writeFileSync(join(bench.path(name), 'store/chain/x.new'), 'of a later version', { mode: 0o600 });
    },
  },
  'a frame of the journal': { says: 'frame version 2', make: (name) => laterFrame(bench.path(name)) },
  'a slot of the store key': { says: 'format 99', make: (name) => laterSlot(bench.path(name)) },
  'a line of the audit log': {
    says: 'has version 2',
    make: (name) => {
      const file = join(bench.path(name), 'audit/000000000001.jsonl');
      // The half line behind it would be cut off in a log of this version.
      writeFileSync(file, `${auditLine}\n{"v":2,"li`, { mode: 0o600 });
    },
  },
  'an invitation': {
    says: 'an invitation has version 2',
    make: (name) => {
      const { invitation } = openHome(bench.path(name));
      const text = invitationText(later(invitation) as typeof invitation);
      writeFileSync(join(bench.path(name), 'invitation'), text);
    },
  },
};

test.each(Object.keys(cases))(
  '%s of a later version: the daemon does not start, and every file stays',
  async (what) => {
    const name = what.replaceAll(' ', '-');
    const dir = bench.path(name);
    cpSync(bench.path('A'), dir, { recursive: true });
    chmodSync(dir, 0o700);
    await cases[what]?.make(name);
    const before = contentsOf(dir);
    const error = await (async () => {
      const home = openHome(dir);
      await startDaemon({ home, settings: home.readSettings(), log: silentLog });
    })().catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'other-version' });
    expect(String(error)).toContain(cases[what]?.says);
    expect(String(error)).toContain('upgrade Holdfast on this machine');
    expect(contentsOf(dir)).toEqual(before);
  },
);
