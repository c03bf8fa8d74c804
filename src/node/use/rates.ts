/**
 * How often each client has asked (protocol §6): a request counts once, however often and by whomever it is repeated
 * while it is valid, so that nobody can use up a client's rate with what it asked before.
 */
import { hex } from '../../protocol/records/codec.ts';
import { limits } from '../../protocol/records/limits.ts';
import { hashOfUse, UseRefusal, type UseRequest } from '../../protocol/records/use-request.ts';
import type { Client } from '../../protocol/records/value.ts';

const minuteMs = 60_000;
/** No request is valid for longer, whatever the clocks say (§8). */
const rememberedMs = limits.useRequestLifetimeMs + 2 * limits.clockSkewMs;

interface Asked {
  /** When each request that may still be valid was first seen, by its hash, oldest first. */
  seen: Map<string, number>;
  /** First sights within the last minute, oldest first. */
  lastMinute: number[];
}

/** Bounded by the rates that operators allow; nothing is kept of a client without one. */
export class UseRates {
  readonly #asked = new Map<string, Asked>();

  /** Throws `UseRefusal('over-rate')`. @param nowMs monotonic */
  count(client: Client, request: UseRequest, nowMs: number): void {
    if (client.ratePerMinute === 0) return;
    const id = hex(client.publicKey);
    const asked: Asked = this.#asked.get(id) ?? { seen: new Map(), lastMinute: [] };
    this.#asked.set(id, asked);
    const { seen, lastMinute } = asked;
    for (const [hash, atMs] of seen) {
      if (atMs >= nowMs - rememberedMs) break;
      seen.delete(hash);
    }
    while (lastMinute[0] !== undefined && lastMinute[0] < nowMs - minuteMs) lastMinute.shift();
    const hash = hex(hashOfUse(request.body));
    if (seen.has(hash)) return;
    if (lastMinute.length >= client.ratePerMinute)
      throw new UseRefusal(
        'over-rate',
        `client ${client.name} may ask ${client.ratePerMinute} times a minute`,
      );
    seen.set(hash, nowMs);
    lastMinute.push(nowMs);
  }
}
