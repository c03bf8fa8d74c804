import { expect, test } from 'vitest';
import { createLog } from '../../src/node/log.ts';

function capture(options: { pretty?: boolean; level?: 'debug' | 'info' } = {}) {
  const lines: string[] = [];
  const destination = { write: (line: string) => lines.push(line) };
  const log = createLog({ level: options.level ?? 'debug', pretty: options.pretty ?? false, destination });
  return { log, lines };
}

test('named fields of harmless types are written', () => {
  const { log, lines } = capture();
  log.info({ epoch: 7, peer: '12D3', missing: [1, 2], authenticated: true }, 'refresh');
  expect(JSON.parse(lines[0]!)).toMatchObject({
    level: 'info',
    msg: 'refresh',
    epoch: 7,
    peer: '12D3',
    missing: [1, 2],
    authenticated: true,
  });
});

test('unknown fields, byte arrays and bigints are withheld at every depth', () => {
  const secret = 'c0ffee1234';
  for (const pretty of [false, true]) {
    const { log, lines } = capture({ pretty });
    const bytes = new TextEncoder().encode(secret);
    log.warn(
      { share: secret, passphrase: secret, epoch: 123456789n, peer: bytes, count: Buffer.from(secret) },
      'x',
    );
    log.warn(
      { state: { share: secret, peer: { inner: { key: secret } } }, peers: [bytes, { share: secret }] },
      'y',
    );
    log.error(
      { err: Object.assign(new Error('it failed'), { share: secret, code: 'E_TEST' }), bytes: bytes.buffer },
      'z',
    );
    log.error(Object.assign(new Error('bare'), { share: secret }), 'an error as fields');
    const written = lines.join('');
    expect(lines.length).toBe(4);
    expect(written).not.toContain(secret);
    expect(written).not.toContain('123456789');
    expect(written).not.toContain([...bytes].slice(0, 4).join(','));
    expect(written).toContain('[withheld]');
    expect(written).toContain('E_TEST');
  }
});

test('long text is cut, and cycles end', () => {
  const { log, lines } = capture();
  const cycle: { state?: unknown; reason: string } = { reason: 'a'.repeat(10_000) };
  cycle.state = cycle;
  log.debug(cycle, 'cycle');
  expect(lines[0]!.length).toBeLessThan(4_000);
});

test('lines below the level are not written', () => {
  const { log, lines } = capture({ level: 'info' });
  log.debug({ epoch: 1 }, 'quiet');
  expect(lines).toEqual([]);
});
