/** A daemon must not end because its log takes nothing: standard error on a full disk. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';

const logFile = new URL('../../src/node/log.ts', import.meta.url).href;
const program = `
  const { createLog } = await import('${logFile}');
  const log = createLog({ level: 'info' });
  for (let at = 0; at < 20_000; at += 1) log.info({ reason: 'x'.repeat(200) }, 'a line');
  await new Promise((resolve) => setTimeout(resolve, 1));
  process.stdout.write('alive');
`;

test.skipIf(!existsSync('/dev/full'))(
  'a log whose file is on a full disk drops lines, and the process goes on',
  () => {
    const command = `"$0" --input-type=module -e "$1" 2> /dev/full`;
    expect(execFileSync('sh', ['-c', command, process.execPath, program], { encoding: 'utf8' })).toBe(
      'alive',
    );
  },
);
