/**
 * `GET /v1/events`: server-sent events (HTML Living Standard §9.2). One `change` event follows every change of what
 * the API shows; whoever reads slowly gets fewer, never none. They carry nothing: the reader asks for what it needs.
 */
import type { ServerResponse } from 'node:http';
import { DaemonError } from '../node/view.ts';

const streamsMax = 64;

export class EventStreams {
  private readonly open = new Set<{ response: ServerResponse; waiting: boolean }>();

  /** Takes over `response` until the reader goes away or `close` is called. Throws `DaemonError('busy')`. */
  add(response: ServerResponse): void {
    if (this.open.size >= streamsMax)
      throw new DaemonError('busy', `at most ${streamsMax} readers can wait for events`);
    const stream = { response, waiting: false };
    this.open.add(stream);
    response.on('close', () => this.open.delete(stream));
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    this.write(stream);
  }

  announce(): void {
    for (const stream of this.open) this.write(stream);
  }

  close(): void {
    for (const { response } of this.open) response.end();
  }

  /** While the reader is behind, all changes become the one event that it gets when it has caught up. */
  private write(stream: { response: ServerResponse; waiting: boolean }): void {
    if (stream.waiting) return;
    if (stream.response.write('event: change\ndata: {}\n\n')) return;
    stream.waiting = true;
    stream.response.once('drain', () => {
      stream.waiting = false;
      this.write(stream);
    });
  }
}
