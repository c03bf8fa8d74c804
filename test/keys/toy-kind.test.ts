/**
 * A second kind, unlike RSA in every part, keeps to what a kind of key promises: so the suite asks nothing of
 * RSA.
 */

import { toy, toyKey } from '../../src/simulation/world/toy-kind.ts';
import { seededBytes } from '../../src/simulation/world/virtual-time.ts';
import { describeKind } from './kind-contract.ts';

const threshold = 3;
const dealt = toyKey({ threshold, randomBytes: seededBytes('toy') });

describeKind({
  kind: toy,
  membersMax: 8,
  threshold,
  dealt,
  otherPublic: toyKey({ threshold, randomBytes: seededBytes('other toy') }).public,
  asked: { sign: [{ message: 'b25l' }, { message: 'b3RoZXI=' }] },
});
