/**
 * The rooms of `src/`, from the ground up, and the floors inside each room. An arrow is an import. It may
 * point to a room that is listed under `may`, or to an earlier floor of the same room. `test/tidy.test.ts`
 * checks the code.
 */
export interface Room {
  name: string;
  /** The other rooms that the room's files may import. */
  may: readonly string[];
  /**
   * Paths below the room, from the ground up: a folder (`store/`), a file (`step.ts`), or `*.ts`. The last
   * stands for the files in the room itself that no other floor names. A room without floors is one floor.
   */
  floors?: readonly string[];
}

const core = ['keys', 'crypto'];
const sealed = ['sealing', 'protocol', 'cipher', ...core];
const daemon = ['node', ...sealed];

/** The rooms from the ground up. */
export const rooms: readonly Room[] = [
  { name: 'crypto', may: [] },
  { name: 'cipher', may: ['crypto'] },
  { name: 'keys', may: ['crypto'], floors: ['kind/', 'rsa/', '*.ts'] },
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
