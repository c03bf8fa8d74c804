/**
 * A second kind, unlike RSA in every part, keeps to what a kind of key promises: so the suite asks nothing of
 * RSA.
 */
import { bytesFrom } from '../../src/simulation/world/sample-keys.ts';
import { toy, toyKey } from '../../src/simulation/world/toy-kind.ts';
import { describeKind } from './kind-contract.ts';

const threshold = 3;
const dealt = toyKey({ threshold, randomBytes: bytesFrom('toy') });

describeKind({
  kind: toy,
  membersMax: 8,
  threshold,
  dealt,
  otherPublic: toyKey({ threshold, randomBytes: bytesFrom('other toy') }).public,
  asked: { sign: [{ message: 'b25l' }, { message: 'b3RoZXI=' }] },
});
