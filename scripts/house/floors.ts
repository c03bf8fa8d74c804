/**
 * The rooms of `src/`, from the ground up, and the floors inside each room. An arrow (an import) points to a
 * room that is listed under `may`, or to a floor of the same room that stands before its own.
 * `test/tidy.test.ts` holds the code to it.
 */
export interface Room {
  name: string;
  /** The rooms that its files may import, itself apart. */
  may: readonly string[];
  /**
   * Paths below the room, from the ground up: a folder (`store/`), a file (`step.ts`), or `*.ts` for the files that lie
   * in the room itself and are named by no other floor. A room without floors is one floor.
   */
  floors?: readonly string[];
}

const core = ['keys', 'crypto'];
const sealed = ['sealing', 'protocol', 'cipher', ...core];
const daemon = ['node', ...sealed];

export const rooms: readonly Room[] = [
  { name: 'crypto', may: [] },
  { name: 'cipher', may: ['crypto'] },
  { name: 'keys', may: ['crypto'], floors: ['kind.ts', 'rsa/', '*.ts'] },
  { name: 'protocol', may: core, floors: ['records/', 'machine/', 'change/', 'recovery/', '*.ts'] },
  { name: 'sealing', may: ['protocol', 'cipher', ...core] },
  {
    name: 'node',
    may: sealed,
    floors: [
      ...['*.ts', 'store/', 'home/', 'jobs/', 'network/', 'lobby/', 'driver/', 'use/', 'audit/', 'views/'],
      'daemon/',
    ],
  },
  { name: 'simulation', may: daemon, floors: ['world/', 'lies/', 'oracle/', 'chaos/', '*.ts', 'sabotages/'] },
  { name: 'api', may: daemon },
  { name: 'client', may: ['api', ...sealed] },
  { name: 'lab', may: ['client', 'api', 'simulation', 'node', 'protocol', ...core] },
  { name: 'cli', may: ['lab', 'client', 'api', ...daemon], floors: ['*.ts', 'commands/', 'main.ts'] },
];
