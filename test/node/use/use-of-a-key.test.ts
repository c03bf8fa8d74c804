/**
 * Members behind one another's request streams: who learns what, whose false partial is named, and what is
 * refused.
 */

import { describe, expect, test } from 'vitest';
import { seal } from '../../../src/cipher/envelope.ts';
import { Decryption } from '../../../src/client/decryption.ts';
import { integerToBytes } from '../../../src/crypto/integers.ts';
import { trialBlock } from '../../../src/keys/rsa/encoding.ts';
import { elementBytes, encodePublic } from '../../../src/keys/rsa/numbers.ts';
import { rsaDecrypt } from '../../../src/keys/rsa/operations.ts';
import type { DecryptAnswer } from '../../../src/node/use/answers.ts';
import {
  type PartialAnswer,
  partialAnswers,
  partialRequests,
} from '../../../src/node/use/partial-messages.ts';
import { encode } from '../../../src/protocol/records/codec.ts';
import {
  type DecryptBody,
  hashOfUse,
  type SignBody,
  signUse,
  type UseRequest,
} from '../../../src/protocol/records/use-request.ts';
import { hashOfValue } from '../../../src/protocol/records/value.ts';
import { sealPartial } from '../../../src/sealing/partials.ts';
import { samplePrimes } from '../../../src/simulation/world/sample-keys.ts';
import {
  ca,
  clientSeed,
  encrypted,
  label,
  Members,
  message,
  plainOf,
  random,
  sharing,
  value,
  vault,
} from './five-members.ts';

describe('a decryption by five members', () => {
  test('is seen by the client alone: the coordinator holds sealed partials only', async () => {
    const members = new Members();
    const decryption = members.decryption(encrypted(message));
    const answer = await members.ask(decryption.request);
    expect(answer.partials).toHaveLength(3);
    expect(members.proofsAsked).toBe(0);
    expect(plainOf(decryption.combine(answer).result)).toBe(message);

    for (const bytes of members.seenByCoordinator)
      expect(partialAnswers.decode(bytes).type).toBe('sealed-partial');
    // Another one-time key opens nothing, not even for the same client and ciphertext.
    const other = members.decryption(encrypted(message));
    expect(other.combine(answer).result).toBeNull();
  });

  test('with two that seal false partials: asks again with proofs, names both, and needs neither', async () => {
    const members = new Members();
    const decryption = members.decryption(encrypted(message));
    // Whichever way round three of five are asked, p3 or p5 is among them.
    for (const index of [3, 5]) {
      const tie = { body: decryption.request.body, epoch: value.epoch, index };
      const forged = { partial: integerToBytes(4n, 256), proof: null };
      const envelope = sealPartial({ tie, cipher: 'aes', entropy: random(32), given: forged });
      members.lies.set(`peer-${index}-of-five`, () => ({ type: 'sealed-partial', envelope }));
    }
    const first = await members.ask(decryption.request);
    expect(decryption.combine(first).result).toBeNull();
    expect(members.proofsAsked).toBe(0);
    const proven = await members.ask(decryption.request, true);
    expect(members.proofsAsked).toBe(5);
    const { result, culprits } = decryption.combine(proven);
    expect(plainOf(result)).toBe(message);
    expect(culprits.toSorted()).toEqual(['p3', 'p5']);
  });

  test('with one that seals no number at all: the others open, and with proofs it is named', async () => {
    for (const partial of [new Uint8Array(), new Uint8Array(8), new Uint8Array(300)]) {
      const members = new Members();
      const decryption = members.decryption(encrypted(message));
      const { body } = decryption.request;
      // Whichever way round three of five are asked, p2 or p4 is among them.
      for (const index of [2, 4]) {
        const context = encode(['holdfast/sealed-partial/1', hashOfUse(body), value.epoch, index]);
        const plaintext = encode({ partial, proof: null });
        const sealing = { cipher: 'aes', receiverKey: body.sealingKey, entropy: random(32) } as const;
        const envelope = seal({ ...sealing, context, plaintext });
        members.lies.set(`peer-${index}-of-five`, () => ({ type: 'sealed-partial', envelope }));
      }
      expect(decryption.combine(await members.ask(decryption.request)).result).toBeNull();
      const { result, culprits } = decryption.combine(await members.ask(decryption.request, true));
      expect(plainOf(result)).toBe(message);
      expect(culprits.toSorted()).toEqual(['p2', 'p4']);
    }
  });

  test('with one that does not answer: goes on without it, and with proofs waits for it only a moment', async () => {
    const members = new Members();
    members.lies.set('peer-2-of-five', () => null);
    const decryption = members.decryption(encrypted(message));
    // All the time is five seconds.
    for (const [prove, count] of [
      [false, 3],
      [true, 4],
    ] as const) {
      let answer: DecryptAnswer | null = null;
      void members.ask(decryption.request, prove).then((found) => {
        answer = found;
      });
      await members.until(() => answer !== null);
      expect(members.time.now()).toBeLessThan(2500);
      const { partials } = answer as unknown as DecryptAnswer;
      expect(partials.length).toBeGreaterThanOrEqual(count);
      expect(plainOf(decryption.combine(answer as unknown as DecryptAnswer).result)).toBe(message);
    }
  });

  test('names whose sealed partial did not combine, though it is silent when proofs are asked for', async () => {
    const members = new Members();
    const decryption = members.decryption(encrypted(message));
    const { body } = decryption.request;
    const forged = {
      cipher: 'aes',
      entropy: random(32),
      given: { partial: integerToBytes(4n, 256), proof: null },
    } as const;
    let proving = false;
    // Whichever way round three of five are asked, p3 or p5 is among them.
    for (const index of [3, 5]) {
      const envelope = sealPartial({ tie: { body, epoch: value.epoch, index }, ...forged });
      members.lies.set(`peer-${index}-of-five`, () =>
        proving ? null : { type: 'sealed-partial', envelope },
      );
    }
    const first = await members.ask(decryption.request);
    const liars = first.partials.map(({ name }) => name).filter((name) => name === 'p3' || name === 'p5');
    expect(decryption.combine(first)).toMatchObject({ result: null, refuted: [] });
    proving = true;
    let proven: DecryptAnswer | null = null;
    void members.ask(decryption.request, true).then((answer) => {
      proven = answer;
    });
    await members.until(() => proven !== null);
    const { result, culprits, refuted } = decryption.combine(proven as unknown as DecryptAnswer);
    expect(plainOf(result)).toBe(message);
    expect(culprits).toEqual([]);
    expect(refuted.toSorted()).toEqual(liars.toSorted());
  });

  test('takes no partial that is open to others', async () => {
    const members = new Members();
    for (const index of [2, 3, 4, 5])
      members.lies.set(`peer-${index}-of-five`, () => ({
        type: 'partial',
        partial: elementBytes(4n),
        proof: null,
      }));
    const outcome = members.ask(members.decryption(encrypted(message)).request).catch((error) => error);
    let failure: Error | null = null;
    void outcome.then((error) => {
      failure = error;
    });
    await members.until(() => failure !== null);
    expect(failure).toMatchObject({ code: 'not-enough-peers' });
  });

  test('with a key of the daemon’s own in the answer: nothing is combined', async () => {
    const members = new Members();
    const decryption = members.decryption(encrypted(message));
    const answer = await members.ask(decryption.request);
    const { p, q } = samplePrimes(2048, 2);
    const { key } = answer;
    const others: Partial<DecryptAnswer>[] = [
      { key: { ...key, public: encodePublic({ ...sharing.key, modulus: p * q }) } },
      { key: { ...key, public: encodePublic({ ...sharing.key, exponent: 3n }) } },
      { key: { ...key, id: random(32) } },
      { key: { ...key, public: encodePublic({ ...sharing.key, constant: 4n }) } },
      { key: { ...key, public: key.public.slice(1) } },
      { threshold: 0 },
      { threshold: 6 },
      { membersMax: 1_000_000_000 },
    ];
    const saved = Decryption.resume(decryption.saved());
    for (const other of others)
      for (const one of [decryption, saved])
        expect(() => one?.combine({ ...answer, ...other })).toThrow(
          /^the daemon answered .*; ask another peer$/,
        );
    expect(plainOf(saved?.combine(answer).result ?? null)).toBe(message);
  });

  test('is one error for every defect of the padding', () => {
    const { modulus } = sharing.key;
    const padding = { hash: 'sha256', label };
    const errors = new Set<string>();
    for (const block of [0n, 1n, modulus - 1n, modulus / 3n, 2n ** 2040n])
      try {
        rsaDecrypt.plaintextIn?.({ publicBytes: vault.public, result: integerToBytes(block, 256), padding });
        errors.add('none');
      } catch (error) {
        errors.add(String(error));
      }
    expect([...errors]).toEqual([expect.stringContaining('not an OAEP block')]);
  });
});

describe('every member refuses for itself', () => {
  const asked = async (request: UseRequest): Promise<PartialAnswer> => {
    const members = new Members();
    const answer = await members
      .service(4)
      .answer(
        'peer-1-of-five',
        partialRequests.encode({ type: 'partial', epoch: value.epoch, request, prove: false }),
      );
    return partialAnswers.decode(answer);
  };
  const { body } = new Members().decryption(encrypted(message)).request;
  const decrypting = (change: Partial<DecryptBody>) => asked(signUse(clientSeed, { ...body, ...change }));

  test('to decrypt with a key made to sign', async () => {
    expect(await decrypting({ key: ca.id })).toMatchObject({ type: 'refused', code: 'wrong-use' });
  });

  test('to sign with a key made to decrypt', async () => {
    const { cluster, client: publicKey, nonce, expiresAtMs } = body;
    const request = signUse<SignBody>(clientSeed, {
      v: 1,
      operation: 'sign',
      kind: 'rsa',
      ...{ cluster, client: publicKey, nonce, expiresAtMs },
      key: vault.id,
      asked: { scheme: 'pkcs1', hash: 'sha256', digest: random(32), salt: new Uint8Array() },
    });
    expect(await asked(request)).toMatchObject({ type: 'refused', code: 'wrong-use' });
  });

  test('to decrypt the block that retires the old shares', async () => {
    const { modulus } = sharing.key;
    const block = trialBlock(hashOfValue(value), vault.id, modulus);
    for (const x of [block, modulus - block])
      expect(await decrypting({ asked: { ciphertext: integerToBytes(x, 256) } })).toMatchObject({
        type: 'refused',
        code: 'trial-block',
      });
  });

  test('more decryptions a minute than the client may; the same one again counts once', async () => {
    const members = new Members();
    const ask = async (request: UseRequest): Promise<string> => {
      const answer = await members
        .service(4)
        .answer(
          'peer-1-of-five',
          partialRequests.encode({ type: 'partial', epoch: value.epoch, request, prove: false }),
        );
      const told = partialAnswers.decode(answer);
      return told.type === 'refused' ? told.code : told.type;
    };
    const [one, two, three] = [1, 2, 3].map(() => members.decryption(encrypted(message)).request);
    expect([
      await ask(one as UseRequest),
      await ask(one as UseRequest),
      await ask(two as UseRequest),
      await ask(three as UseRequest),
    ]).toEqual(['sealed-partial', 'sealed-partial', 'sealed-partial', 'over-rate']);
  });
});
