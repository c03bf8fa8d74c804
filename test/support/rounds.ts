/** How often a test repeats something: `usually` in every run, and `all` with `scripts/test --all`. */
export const rounds = ({ usually, all }: { usually: number; all: number }): number =>
  process.env.HOLDFAST_ALL === '1' ? all : usually;
