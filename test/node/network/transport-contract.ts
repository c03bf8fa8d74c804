/** What every transport must do. Run by simulated-transport.test.ts and libp2p-transport.test.ts. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { MemberAddress, Transport } from '../../../src/node/network/transport.ts';
import { Recorder } from './recorder.ts';

export interface ContractNetwork {
  /** A new, stopped transport of peer `index`; the same index is always the same peer. Queues hold at most 4 MiB. */
  create(index: number): Promise<Transport>;
  /** Resolves when `condition` holds; it is looked at whenever something has happened. */
  until(condition: () => boolean): Promise<void>;
  changed(): void;
  close(): Promise<void>;
}

interface Peer {
  transport: Transport;
  recorder: Recorder;
}

const text = (frame: Uint8Array): string => new TextDecoder().decode(frame);
const bytes = (string: string): Uint8Array => new TextEncoder().encode(string);
const signal = (): AbortSignal => new AbortController().signal;

export function transportContract(name: string, open: () => ContractNetwork): void {
  describe(`${name}: the transport contract`, () => {
    let network: ContractNetwork;
    let peers: Peer[];
    beforeEach(() => {
      network = open();
      peers = [];
    });
    afterEach(async () => {
      await Promise.all(peers.map(({ transport }) => transport.stop()));
      await network.close();
    });

    /** Starts peer `index`, listing those members. */
    const start = async (
      index: number,
      members: readonly MemberAddress[],
      prepare?: (recorder: Recorder) => void,
    ) => {
      const transport = await network.create(index);
      const recorder = new Recorder(() => network.changed());
      prepare?.(recorder);
      await transport.setMembers(members);
      await transport.start(recorder, recorder);
      const peer = { transport, recorder };
      peers.push(peer);
      return peer;
    };
    const memberOf = ({ transport }: Peer): MemberAddress => ({
      peer: transport.peerId,
      addresses: transport.addresses(),
    });
    /** A group whose members all list each other. */
    const startGroup = async (
      count: number,
      prepare?: (recorder: Recorder, index: number) => void,
    ): Promise<Peer[]> => {
      const group: Peer[] = [];
      for (let index = 0; index < count; index += 1) {
        group.push(await start(index, [], (recorder) => prepare?.(recorder, index)));
      }
      const members = group.map(memberOf);
      await Promise.all(group.map(({ transport }) => transport.setMembers(members)));
      return group;
    };
    /** A request's end, also where time is virtual. */
    const answered = async (request: Promise<Uint8Array>): Promise<Uint8Array> => {
      let settled = false;
      const done = () => {
        settled = true;
        network.changed();
      };
      request.then(done, done);
      await network.until(() => settled);
      return request;
    };
    /**
     * Until a connection elsewhere that was asked for a new proof and gives none is over: longer than those before
     * may take.
     */
    const waitLonger = async () => {
      const [c, d] = [await start(7, []), await start(8, [])] as [Peer, Peer];
      for (const { transport } of [c, d]) await transport.setMembers([memberOf(c), memberOf(d)]);
      await allPairs(c, d);
      c.recorder.key = 'never proven';
      c.transport.reauthenticate(d.transport.peerId);
      await network.until(() => c.recorder.count(`unauthenticated ${d.transport.peerId}`) === 1);
    };
    const allPairs = (c: Peer, d: Peer) =>
      network.until(() => [c, d].every(({ transport }) => transport.authenticated().length === 1));
    const allAuthenticated = (group: Peer[]) =>
      network.until(() =>
        group.every(({ transport }) => transport.authenticated().length === group.length - 1),
      );

    test('members connect and prove their epoch keys', async () => {
      const group = await startGroup(3);
      await allAuthenticated(group);
      for (const { transport, recorder } of group) {
        const others = group
          .map((other) => other.transport.peerId)
          .filter((peer) => peer !== transport.peerId);
        expect(transport.connected().sort()).toEqual(others.sort());
        for (const other of others) {
          const [first] = recorder.events.filter((event) => event.endsWith(other));
          expect(first).toBe(`connect ${other}`);
          expect(recorder.count(`authenticated ${other}`)).toBeGreaterThan(0);
        }
      }
    });

    test('who is not listed by the other side is not connected', async () => {
      const [a, b] = (await startGroup(2)) as [Peer, Peer];
      await allAuthenticated([a, b]);
      const stranger = await start(9, [memberOf(a), memberOf(b)]);
      stranger.transport.send(a.transport.peerId, bytes('hello'));
      stranger.transport.publish(bytes('hello all'));
      a.transport.publish(bytes('among us'));
      await network.until(() => b.recorder.received.length > 0);
      expect(a.transport.connected()).toEqual([b.transport.peerId]);
      expect(stranger.recorder.received).toEqual([]);
      expect([...a.recorder.received, ...b.recorder.received].map(({ frame }) => text(frame))).toEqual([
        'among us',
      ]);
    });

    test('direct frames arrive once, in order, and authenticated', async () => {
      const [a, b] = (await startGroup(2)) as [Peer, Peer];
      await allAuthenticated([a, b]);
      const sent = Array.from({ length: 500 }, (_, index) => `frame ${index}`);
      for (const frame of sent) a.transport.send(b.transport.peerId, bytes(frame));
      await network.until(() => b.recorder.received.length === sent.length);
      expect(b.recorder.received.map(({ frame }) => text(frame))).toEqual(sent);
      expect(b.recorder.received.every(({ via, authenticated }) => via === 'direct' && authenticated)).toBe(
        true,
      );
      expect(b.recorder.received[0]?.from).toBe(a.transport.peerId);
    });

    test('a publication reaches every other member, with its author', async () => {
      const group = await startGroup(4);
      await allAuthenticated(group);
      const [author, ...others] = group as [Peer, ...Peer[]];
      author.transport.publish(bytes('to all'));
      await network.until(() => others.every(({ recorder }) => recorder.received.length > 0));
      for (const { recorder } of others) {
        expect(recorder.received[0]).toMatchObject({ from: author.transport.peerId, authenticated: true });
        expect(text(recorder.received[0]!.frame)).toBe('to all');
      }
      expect(author.recorder.received).toEqual([]);
    });

    test('frames of megabytes arrive whole, sent and published', async () => {
      const [a, b] = (await startGroup(2)) as [Peer, Peer];
      await allAuthenticated([a, b]);
      const large = Uint8Array.from({ length: 3_000_000 }, (_, index) => (index * 7) % 251);
      a.transport.send(b.transport.peerId, large);
      await network.until(() => b.recorder.received.length === 1);
      a.transport.publish(large.subarray(1));
      await network.until(() => b.recorder.received.length === 2);
      expect(Buffer.from(large).equals(b.recorder.received[0]!.frame)).toBe(true);
      expect(Buffer.from(large.subarray(1)).equals(b.recorder.received[1]!.frame)).toBe(true);
    });

    test('many requests are in flight at once and answered out of order', async () => {
      const [a, b] = (await startGroup(2)) as [Peer, Peer];
      await allAuthenticated([a, b]);
      const pending: { request: Uint8Array; resolve(answer: Uint8Array): void }[] = [];
      b.recorder.respond = (_from, request) =>
        new Promise((resolve) => {
          pending.push({ request, resolve });
          network.changed();
        });
      const asked = Array.from({ length: 40 }, (_, index) => `question ${index}`);
      const answers = asked.map((question) =>
        a.transport.request(b.transport.peerId, bytes(question), { signal: signal() }),
      );
      await network.until(() => pending.length === asked.length);
      for (const { request, resolve } of pending.toReversed()) resolve(bytes(`answer to ${text(request)}`));
      let settled = false;
      const all = Promise.all(answers).finally(() => {
        settled = true;
        network.changed();
      });
      await network.until(() => settled);
      expect((await all).map(text)).toEqual(asked.map((question) => `answer to ${question}`));
    });

    test('a refused, an aborted and an unreachable request fail, each with its code', async () => {
      const [a, b] = (await startGroup(2)) as [Peer, Peer];
      await allAuthenticated([a, b]);
      const settle = async (request: Promise<Uint8Array>): Promise<unknown> => {
        let result: unknown;
        request
          .then(
            () => {
              result = 'answered';
            },
            (error: { code: string }) => {
              result = error.code;
            },
          )
          .finally(() => network.changed());
        await network.until(() => result !== undefined);
        return result;
      };
      b.recorder.respond = () => Promise.reject(new Error('the reason stays here'));
      expect(await settle(a.transport.request(b.transport.peerId, bytes('x'), { signal: signal() }))).toBe(
        'refused',
      );

      const control = new AbortController();
      let abortedThere = false;
      b.recorder.respond = (_from, _request, remote) => {
        remote.addEventListener('abort', () => {
          abortedThere = true;
          network.changed();
        });
        control.abort();
        return new Promise(() => {});
      };
      const aborted = a.transport.request(b.transport.peerId, bytes('x'), { signal: control.signal });
      expect(await settle(aborted)).toBe('aborted');
      await network.until(() => abortedThere);
      expect(await settle(a.transport.request('nobody', bytes('x'), { signal: signal() }))).toBe(
        'not-connected',
      );
    });

    test('without a proven epoch key frames are marked and requests refused, until catch-up proves it', async () => {
      const group = await startGroup(2, (recorder, index) => {
        recorder.keyed = index !== 1;
      });
      const [a, b] = group as [Peer, Peer];
      await network.until(() => group.every(({ transport }) => transport.connected().length === 1));
      b.transport.send(a.transport.peerId, bytes('catch me up'));
      await network.until(() => a.recorder.received.length === 1);
      expect(a.recorder.received[0]!.authenticated).toBe(false);
      expect([...a.transport.authenticated(), ...b.transport.authenticated()]).toEqual([]);
      for (const [from, to] of [group, group.toReversed()] as [Peer, Peer][]) {
        await expect(
          from.transport.request(to.transport.peerId, bytes('x'), { signal: signal() }),
        ).rejects.toMatchObject({ code: 'not-authenticated' });
      }

      b.recorder.keyed = true;
      b.transport.reauthenticate(a.transport.peerId);
      await allAuthenticated(group);
      b.transport.send(a.transport.peerId, bytes('here I am'));
      await network.until(() => a.recorder.received.length === 2);
      expect(a.recorder.received[1]!.authenticated).toBe(true);
    });

    test('a proof that one side refuses authenticates neither', async () => {
      const group = await startGroup(2, (recorder, index) => {
        if (index === 0) recorder.check = () => false;
      });
      const [a, b] = group as [Peer, Peer];
      await network.until(() => group.every(({ transport }) => transport.connected().length === 1));
      a.transport.reauthenticate(b.transport.peerId);
      b.transport.reauthenticate(a.transport.peerId);
      b.transport.send(a.transport.peerId, bytes('believe me'));
      await network.until(() => a.recorder.received.length === 1);
      expect(a.recorder.received[0]!.authenticated).toBe(false);
      expect([...a.transport.authenticated(), ...b.transport.authenticated()]).toEqual([]);
    });

    test('when epoch keys are replaced the connection proves the new ones, and what was proven counts meanwhile', async () => {
      const [a, b] = (await startGroup(2)) as [Peer, Peer];
      await allAuthenticated([a, b]);
      const answer = a.transport.request(b.transport.peerId, bytes('under way'), { signal: signal() });
      // One adopts first: neither can prove itself to the other, and nothing is taken back.
      const refusedBefore = a.recorder.count(`refused ${b.transport.peerId}`);
      a.recorder.key = 'the next key';
      a.transport.reauthenticate(b.transport.peerId);
      await network.until(() => a.recorder.count(`refused ${b.transport.peerId}`) > refusedBefore);
      expect(a.transport.authenticated()).toEqual([b.transport.peerId]);
      expect(b.transport.authenticated()).toEqual([a.transport.peerId]);
      expect(text(await answered(answer))).toBe('under way');
      b.transport.send(a.transport.peerId, bytes('still counted'));
      await network.until(() => a.recorder.received.length === 1);
      expect(a.recorder.received[0]!.authenticated).toBe(true);

      const acceptedBefore = a.recorder.count(`accepted ${b.transport.peerId}`);
      b.recorder.key = 'the next key';
      b.transport.reauthenticate(a.transport.peerId);
      await network.until(() => a.recorder.count(`accepted ${b.transport.peerId}`) > acceptedBefore);
      await waitLonger();
      for (const { recorder, transport } of [a, b]) {
        expect(recorder.events.filter((event) => event.startsWith('unauthenticated'))).toEqual([]);
        expect(transport.authenticated()).toHaveLength(1);
      }
    });

    test('a handshake that another overtakes takes nothing back of what that one proved', async () => {
      const peers = await startGroup(5);
      const pairs = peers.flatMap((a) => peers.filter((b) => b !== a).map((b) => [a, b] as const));
      await network.until(() => peers.every(({ transport }) => transport.authenticated().length === 4));
      for (const [a, b] of pairs) a.transport.reauthenticate(b.transport.peerId);
      await waitLonger();
      // On a slow machine a proof may have come too late; but what came is not lost again.
      await network.until(() => peers.every(({ transport }) => transport.authenticated().length === 4));
    });

    test('who does not prove its new epoch key within the bound counts as unauthenticated until it does', async () => {
      const [a, b] = (await startGroup(2)) as [Peer, Peer];
      await allAuthenticated([a, b]);
      a.recorder.key = 'the next key';
      a.transport.reauthenticate(b.transport.peerId);
      await network.until(() => a.recorder.count(`unauthenticated ${b.transport.peerId}`) === 1);
      expect(a.transport.authenticated()).toEqual([]);
      b.transport.send(a.transport.peerId, bytes('with the old key'));
      await network.until(() => a.recorder.received.length === 1);
      expect(a.recorder.received[0]!.authenticated).toBe(false);
      const asked = b.transport.request(a.transport.peerId, bytes('x'), { signal: signal() });
      await expect(answered(asked)).rejects.toMatchObject({ code: 'refused' });
      expect(a.transport.connected()).toEqual([b.transport.peerId]); // it may still catch up

      b.recorder.key = 'the next key';
      b.transport.reauthenticate(a.transport.peerId);
      await allAuthenticated([a, b]);
      expect(a.recorder.count(`authenticated ${b.transport.peerId}`)).toBe(2);
    });

    test('a removed member is disconnected, and connected again when it is listed again', async () => {
      const group = await startGroup(3);
      await allAuthenticated(group);
      const [a, b, c] = group as [Peer, Peer, Peer];
      await a.transport.setMembers([memberOf(a), memberOf(b)]);
      await b.transport.setMembers([memberOf(a), memberOf(b)]);
      await network.until(() => c.transport.connected().length === 0);
      expect(a.transport.connected()).toEqual([b.transport.peerId]);
      expect(a.transport.memberAddresses().map(({ peer }) => peer)).not.toContain(c.transport.peerId);
      expect(c.recorder.count(`disconnect ${a.transport.peerId}`)).toBe(1);

      await Promise.all(group.map(({ transport }) => transport.setMembers(group.map(memberOf))));
      await allAuthenticated(group);
    });

    test('a stopped peer is missed, and its restart connected to', async () => {
      const [a, b] = (await startGroup(2)) as [Peer, Peer];
      await allAuthenticated([a, b]);
      await b.transport.stop();
      await network.until(() => a.transport.connected().length === 0);
      await expect(
        a.transport.request(b.transport.peerId, bytes('x'), { signal: signal() }),
      ).rejects.toMatchObject({ code: 'not-connected' });

      const again = await start(1, [memberOf(a)]);
      await allAuthenticated([a, again]);
      a.transport.send(again.transport.peerId, bytes('welcome back'));
      await network.until(() => again.recorder.received.length === 1);
      expect(b.transport.peerId).toBe(again.transport.peerId);
    });

    test('a full queue drops and counts, and what was taken arrives', async () => {
      const [a, b] = (await startGroup(2)) as [Peer, Peer];
      await allAuthenticated([a, b]);
      const frame = new Uint8Array(512 * 1024);
      const sent = 24;
      for (let index = 0; index < sent; index += 1) a.transport.send(b.transport.peerId, frame);
      const dropped = a.transport.dropped();
      expect(dropped).toBeGreaterThan(0);
      expect(dropped).toBeLessThan(sent);
      await network.until(() => b.recorder.received.length === sent - dropped);
      a.transport.send('nobody', frame);
      expect(a.transport.dropped()).toBe(dropped + 1);
    });
  });
}
