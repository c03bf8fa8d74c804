import { randomBytes } from 'node:crypto';
import { appendFileSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Lab } from '../../src/lab/lab.ts';

const fixture = JSON.parse(
  readFileSync(new URL('../fixtures/safe-primes.json', import.meta.url), 'utf8'),
) as {
  1024: [string, string];
};

describe('real daemons in their own processes', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.create({ peers: 3, threshold: 2, ciphers: ['des', 'aes', 'blowfish'] });
    await lab.createKey('ca', { p: fixture[1024][0], q: fixture[1024][1] });
  });
  afterAll(() => lab.close());

  it('three peers with DES, AES and Blowfish refresh, and sign the same before and after', async () => {
    const before = await lab.sign('b', 'ca', 'message');
    const [old] = await lab.api('b').epochs(1);
    await lab.must('c', ['refresh', '--wait']);
    const [fresh] = await lab.api('c').epochs(1);
    expect(fresh?.epoch).toBeGreaterThan(old?.epoch ?? Number.NaN);
    expect((await lab.sign('c', 'ca', 'message')).equals(before)).toBe(true);
  });

  it('a second daemon on one home is refused with one clear line', async () => {
    const { code, stdout, stderr } = await lab.run('b', ['start']);
    expect(code).toBe(1);
    expect(stdout.toString()).toBe('');
    expect(stderr).toBe('holdfast: a daemon is already running on this home; stop it first\n');
    expect((await lab.api('b').status()).name).toBe('b');
  });

  it('a killed daemon leaves its socket behind and starts again', async () => {
    const socket = join(lab.peer('c').home, 'api.sock');
    await lab.kill('c');
    expect(statSync(socket).isSocket()).toBe(true);
    expect((await lab.run('c', ['status'])).code).toBe(5);
    await lab.start('c');
    expect((await lab.api('c').status()).state).toBe('member');
    expect(statSync(socket).mode & 0o777).toBe(0o600);
  });

  it('a daemon that is stopped ends cleanly and takes its socket with it', async () => {
    await lab.stop('c');
    expect(readdirSync(lab.peer('c').home)).not.toContain('api.sock');
    await lab.start('c');
  });

  it('all files of a running peer are its owner’s only, and no first epoch key is left', () => {
    const { home } = lab.peer('b');
    const files = readdirSync(home, { recursive: true, encoding: 'utf8' });
    expect(files).not.toContain('first-epoch-key');
    for (const file of files) expect(statSync(join(home, file)).mode & 0o077, file).toBe(0);
  });

  it('an epoch change waits for a paused peer, and goes on when it is back', async () => {
    const status = await lab.api('a').status();
    lab.pause('c');
    const { code, stderr } = await lab.run('a', ['refresh', '--wait', '--timeout', '2s']);
    expect(code).toBe(4);
    expect(stderr).toContain(`epoch ${status.epoch} is still the newest`);
    lab.resume('c');
    await lab.untilEpoch((status.epoch ?? 0) + 1);
  });

  it('a newcomer with a member’s name is refused', async () => {
    const { code, stderr } = await lab.run('a', ['admit', 'b', '--yes', 'x']);
    expect(code).toBe(3);
    expect(stderr).toContain('a member named b exists already');
  });

  it('a settings file that was spoiled stops the start with file and line', async () => {
    await lab.stop('c');
    const file = join(lab.peer('c').home, 'settings.yaml');
    appendFileSync(file, `\nnonsense: ${randomBytes(2).toString('hex')}x\n`);
    const { code, stderr } = await lab.run('c', ['start']);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^holdfast: settings\.yaml:\d+: there is no setting nonsense; did you mean \w+\?\n$/,
    );
  });
});
