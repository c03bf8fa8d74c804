/**
 * Loaded with `--import` before a simulation: breaks one rule by changing one place in one source file as it is loaded, so
 * that nothing in `src/` need know of sabotage. The name is in `HOLDFAST_SABOTAGE`.
 */
import { registerHooks } from 'node:module';
import { sabotages } from './sabotages.ts';

const sabotage = sabotages.find(({ name }) => name === process.env.HOLDFAST_SABOTAGE);
if (sabotage === undefined) throw new Error('HOLDFAST_SABOTAGE names no sabotage');
const { file, rule, broken } = sabotage;
const target = new URL(`../../src/${file}`, import.meta.url).href;

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (url !== target) return loaded;
    const source = String(loaded.source);
    if (source.split(rule).length !== 2)
      throw new Error(`src/${file} holds the sabotaged rule not once: ${rule}`);
    return { ...loaded, source: source.replace(rule, () => broken) };
  },
});
