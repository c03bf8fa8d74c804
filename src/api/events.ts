/**
 * `GET /v1/events`: server-sent events (HTML Living Standard §9.2). Each names what has changed, and carries
 * no more than where to ask for it; whoever reads slowly gets fewer, and misses nothing. The id, on the last
 * event of a change, is that of the state, so a reader that comes back with the newest one has missed
 * nothing.
 */
import { randomBytes } from 'node:crypto';
import type { ServerResponse } from 'node:http';
import { type Changes, type Resource, resources } from './changes.ts';
import { apiLimits } from './limits.ts';
import { ApiProblem } from './problem.ts';
import { routes } from './routes.ts';
import { Shares } from './shares.ts';
import { heartbeat } from './wire.ts';

interface Stream {
  response: ServerResponse;
  /** Behind with reading: what changed meanwhile. */
  owed: Set<Resource> | null;
}

export class EventStreams {
  readonly #streamsMax: number;
  readonly #shares: Shares;
  readonly #changes: Changes;
  readonly #open = new Set<Stream>();
  /** Ids of an earlier run of the daemon say nothing about this one. */
  readonly #run = randomBytes(4).toString('hex');
  readonly #heartbeat: NodeJS.Timeout;
  #unlisten: () => void = () => {};
  #closed = false;

  /** @param ofOneRemoteMax how many of them one remote address may have */
  constructor(streamsMax: number, changes: Changes, ofOneRemoteMax: number | null = null) {
    this.#streamsMax = streamsMax;
    this.#shares = new Shares(ofOneRemoteMax);
    this.#changes = changes;
    this.#heartbeat = setInterval(() => this.#beat(), apiLimits.heartbeatMs).unref();
  }

  /**
   * Takes over `response` until the reader goes away or `close` is called. Throws `ApiProblem('busy')`.
   * @param lastEventId what the reader saw last, if it was here before
   */
  add(response: ServerResponse, remote: string, lastEventId: string | null): void {
    // Whoever has gone already would never be noticed to go.
    if (this.#closed || response.destroyed) {
      response.destroy();
      return;
    }
    if (this.#open.size >= this.#streamsMax)
      throw new ApiProblem('busy', `at most ${this.#streamsMax} readers can wait for events`);
    const leave = this.#shares.take(remote);
    if (leave === null) throw new ApiProblem('busy', 'this address has as many readers of events as it may');
    if (this.#open.size === 0) this.#unlisten = this.#changes.listen((changed) => this.#announce(changed));
    const stream: Stream = { response, owed: null };
    this.#open.add(stream);
    response.on('close', () => {
      leave();
      if (this.#open.delete(stream) && this.#open.size === 0) this.#unlisten();
    });
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    if (lastEventId === this.#id()) response.write(': nothing was missed\n\n');
    else this.#write(stream, resources);
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#heartbeat);
    this.#unlisten();
    for (const { response } of this.#open) response.end();
  }

  #announce(changed: readonly Resource[]): void {
    for (const stream of this.#open) this.#write(stream, changed);
  }

  #id(): string {
    return `${this.#run}-${this.#changes.count}`;
  }

  #write(stream: Stream, changed: readonly Resource[]): void {
    if (stream.owed !== null) {
      for (const resource of changed) stream.owed.add(resource);
      return;
    }
    if (stream.response.write(eventsOf(changed, this.#id()))) return;
    stream.owed = new Set();
    stream.response.once('drain', () => {
      const owed = [...(stream.owed ?? [])];
      stream.owed = null;
      if (owed.length > 0) this.#write(stream, owed);
    });
  }

  #beat(): void {
    for (const { response, owed } of this.#open) if (owed === null) response.write(heartbeat);
  }
}

const eventsOf = (changed: readonly Resource[], id: string): string =>
  changed
    .map((resource, at) => {
      const data = JSON.stringify({ resource: routes[resource].path });
      return `event: ${resource}\n${at === changed.length - 1 ? `id: ${id}\n` : ''}data: ${data}\n\n`;
    })
    .join('');
