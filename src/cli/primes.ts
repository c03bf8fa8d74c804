/** The material of a new key: its size, or two safe primes from a file. */
import { checkSafePrimes, type Primes } from '../keys/rsa/creation.ts';
import { CommandError, readSecretInput } from './terminal.ts';

/** The sizes in bits that `--bits` takes. */
export const keySizes = [2048, 3072, 4096];

/** Throws `CommandError('usage')` for a size in bits that is not in `keySizes`. */
export function checkKeySize(bits: number): void {
  if (!keySizes.includes(bits))
    throw new CommandError('usage', `--bits must be one of ${keySizes.join(', ')} (it is ${bits})`);
}

/**
 * The primes in a file that holds `{"p": hex, "q": hex}`. They are secret.
 * @throws CommandError `failed` for a file that cannot be read or has another form, `refused` for
 * primes that are not safe
 */
export async function readPrimes(file: string): Promise<Primes> {
  const content = await readSecretInput(file);
  let primes: Primes;
  try {
    const { p, q } = JSON.parse(content.toString('utf8')) as { p: string; q: string };
    primes = { p: BigInt(`0x${p}`), q: BigInt(`0x${q}`) };
  } catch {
    throw new CommandError('failed', `${file} does not hold {"p": hex, "q": hex}`);
  } finally {
    content.fill(0);
  }
  if (!checkSafePrimes(primes.p, primes.q))
    throw new CommandError('refused', `${file} does not hold two different safe primes`);
  return primes;
}
