/**
 * Breaks one rule of the source. It is loaded with `--import` before a simulation, and changes the source
 * file when Node loads it. So nothing in the other rooms knows of sabotage. `HOLDFAST_SABOTAGE` is the name
 * of the sabotage.
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
