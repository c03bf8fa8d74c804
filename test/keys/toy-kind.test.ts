/** A second kind, unlike RSA in every part, keeps to what a kind of key promises: so the suite asks nothing of RSA. */
import { bytesFrom } from '../../src/simulation/world/sample-keys.ts';
import { describeKind } from './kind-contract.ts';
import { toy, toyCreation } from './toy-kind.ts';

const threshold = 3;
const creation = toyCreation({ threshold, randomBytes: bytesFrom('toy') });

describeKind({
  kind: toy,
  membersMax: 8,
  threshold,
  ...creation,
  otherPublic: toyCreation({ threshold, randomBytes: bytesFrom('other toy') }).public,
});
