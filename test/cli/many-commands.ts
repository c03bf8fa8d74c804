/**
 * A process that runs many command lines one after the other, each by the whole of `cli/main.ts`: starting a
 * process for each would cost half a second. Standard input: a JSON list of lists of words; standard output:
 * a JSON list of what came of each, `{ code, stdout, stderr }`.
 */
import { readFileSync } from 'node:fs';

const main = new URL('../../src/cli/main.ts', import.meta.url).href;
const commands: string[][] = JSON.parse(readFileSync(0, 'utf8'));
const own = [process.argv[0] ?? '', process.argv[1] ?? ''];
const write = process.stdout.write.bind(process.stdout);
process.setMaxListeners(0);
process.stdout.setMaxListeners(0);

const results: Array<{ code: number; stdout: string; stderr: string }> = [];
for (const [at, words] of commands.entries()) {
  const result = { code: 0, stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    process[stream].write = (text: unknown) => {
      result[stream] += String(text);
      return true;
    };
  process.argv = [...own, ...words];
  process.exitCode = 0;
  // What ends a process after an error ends only the command here.
  process.exit = ((code?: number) => {
    process.exitCode = code ?? process.exitCode ?? 0;
  }) as typeof process.exit;
  // The address is another each time, so that the module runs again; what it imports stays.
  await import(`${main}?${at}`);
  result.code = Number(process.exitCode);
  results.push(result);
}
write(JSON.stringify(results));
process.exitCode = 0;
