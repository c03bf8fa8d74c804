/** How often something is repeated: in every run of the tests, and with `scripts/test --all`. */
export const rounds = ({ usually, all }: { usually: number; all: number }): number =>
  process.env.HOLDFAST_ALL === '1' ? all : usually;
