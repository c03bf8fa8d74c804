/**
 * Loaded with `--import` before a simulation: breaks one rule by changing the source where it is kept as it
 * is loaded, so that nothing in `src/` need know of sabotage. The name is in `HOLDFAST_SABOTAGE`.
 */
import { registerHooks } from 'node:module';
import { sabotages } from './sabotages.ts';

const sabotage = sabotages.find(({ name }) => name === process.env.HOLDFAST_SABOTAGE);
if (sabotage === undefined) throw new Error('HOLDFAST_SABOTAGE names no sabotage');
const breaks = [sabotage, ...(sabotage.also === undefined ? [] : [sabotage.also])].map((one) => ({
  ...one,
  target: new URL(`../../${one.file}`, import.meta.url).href,
}));

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    const found = breaks.filter(({ target }) => target === url);
    if (found.length === 0) return loaded;
    const source = found.reduce((text, { file, rule, broken }) => {
      if (text.split(rule).length !== 2)
        throw new Error(`src/${file} holds the sabotaged rule not once: ${rule}`);
      return text.replace(rule, () => broken);
    }, String(loaded.source));
    return { ...loaded, source };
  },
});
