// The streams that a client produces over: results come in the order of what was sent on a stream, so each queue has one of
// its own, and none waits for another queue whose script is slow.
import type { Connection } from "../transport/connection.ts";
import type { OutgoingMessage } from "../wire/outgoing-message.ts";
import { EnqueueStream, type PendingBytes } from "./enqueue-stream.ts";
import type { Sink } from "./sink.ts";

/** Of one client; with more queues, some share one. */
const maximumStreams = 16;
/** Queues whose stream is remembered; the others share the first one. */
const maximumQueues = 10_000;

export class EnqueueStreams {
  readonly #connection: Connection;
  readonly #pending: PendingBytes;
  readonly #streams: EnqueueStream[] = [];
  readonly #byQueue = new Map<string, EnqueueStream>();

  /** `maximumPendingBytes` bounds what has no result yet, on all of them. */
  constructor(connection: Connection, maximumPendingBytes: number) {
    this.#connection = connection;
    this.#pending = { bytes: 0, maximum: maximumPendingBytes };
  }

  /** Takes a checked message; `sink` gets its result. Never throws. */
  submit(message: OutgoingMessage, sink: Sink): void {
    (this.#byQueue.get(message.queue) ?? this.#streamOf(message.queue)).submit(message, sink);
  }

  #streamOf(queue: string): EnqueueStream {
    if (this.#byQueue.size >= maximumQueues) return this.#streams[0]!;
    const at = this.#byQueue.size % maximumStreams;
    const stream = (this.#streams[at] ??= new EnqueueStream(this.#connection, this.#pending));
    this.#byQueue.set(queue, stream);
    return stream;
  }

  /** Resolves when every message has its result. */
  async idle(): Promise<void> {
    while (this.#streams.some(({ busy }) => busy)) await Promise.all(this.#streams.map((stream) => stream.idle()));
  }

  /** Ends the streams; what has no result is rejected. */
  close(): void {
    for (const stream of this.#streams) stream.close();
  }
}
