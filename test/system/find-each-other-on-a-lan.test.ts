/** Five daemons on five machines of a local network: no address of another member is configured anywhere. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Lab } from '../../src/lab/lab.ts';
import { FileStore } from '../../src/node/store/file-store.ts';
import { Lan, whatForbidsLan } from './lan.ts';
import { Client, readyPrimes, refresh } from './support.ts';

const forbidden = whatForbidsLan();
if (forbidden !== null)
  process.stderr.write(`skipped: this machine forbids network namespaces: ${forbidden}\n`);
const patienceMs = 120_000;

describe.skipIf(forbidden !== null)('five daemons on a local network', { timeout: patienceMs }, () => {
  let lan: Lan;
  let lab: Lab;

  beforeAll(async () => {
    lan = await Lan.create(5);
    lab = await Lab.create({ peers: 5, threshold: 3, settings: { mdns: true }, placeOf: lan.placeOf });
  }, patienceMs);
  afterAll(async () => {
    await lab?.close();
    await lan?.close();
  });

  const allFound = (): Promise<unknown> =>
    Promise.all(
      lab.names.map((name) =>
        lab.until(name, async (api) => ((await api.status()).connected.length === 4 ? true : null)),
      ),
    );

  it('are admitted, find each other, create a key and refresh it', async () => {
    await allFound();
    await lab.createKey('ca', readyPrimes(2048));
    const epoch = await refresh(lab, 'c');
    expect(epoch.dealt.length).toBeGreaterThanOrEqual(3);
  });

  it('find each other by multicast DNS alone when all that they remember of addresses is gone', async () => {
    await Promise.all(lab.names.map(lab.stop));
    for (const name of lab.names) await forgetAddresses(lab.peer(name).home);
    await Promise.all(lab.names.map(lab.start));
    await allFound();
    const client = await Client.of(lab, 'ca');
    const { signature } = await client.sign('e', 'signed on the network');
    expect(client.accepts('signed on the network', signature)).toBe(true);
  });
});

/** Takes the members' addresses out of a stopped peer's store. */
async function forgetAddresses(home: string): Promise<void> {
  const store = new FileStore({
    folder: join(home, 'store'),
    cipher: 'aes',
    randomBytes: (length) => new Uint8Array(randomBytes(length)),
  });
  const records = await store.open();
  expect(records.has('addresses')).toBe(true);
  await store.commit({ puts: [], deletes: ['addresses'] });
  await store.close();
}
