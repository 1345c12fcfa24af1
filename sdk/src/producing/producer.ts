// Where messages go: into the stream, and those that are stored only once again when it breaks.
import { FilaError } from "../errors.ts";
import type { Connection } from "../transport/connection.ts";
import { retrying } from "../transport/retry.ts";
import type { OutgoingMessage } from "../wire/outgoing-message.ts";
import type { EnqueueStreams } from "./enqueue-streams.ts";
import type { Sink } from "./sink.ts";

export class Producer {
  readonly #streams: EnqueueStreams;
  readonly #connection: Connection;
  readonly #retryMs: number;

  /** `retryMs`: for so long after its submission a message may be sent again. */
  constructor(streams: EnqueueStreams, connection: Connection, retryMs: number) {
    this.#streams = streams;
    this.#connection = connection;
    this.#retryMs = retryMs;
  }

  /** Takes a checked message; `sink` gets its result. Never throws. */
  submit(message: OutgoingMessage, sink: Sink): void {
    if (message.idempotencyKey === undefined) this.#streams.submit(message, sink);
    else void this.#submitAgain(message, sink);
  }

  /** The messages of one turn still share a frame: the first attempt is made at once. */
  async #submitAgain(message: OutgoingMessage, sink: Sink): Promise<void> {
    const attempt = (): Promise<readonly [id: string, duplicate: boolean]> =>
      new Promise((resolve, reject) => {
        this.#streams.submit(message, { resolve: (id, duplicate) => resolve([id, duplicate]), reject });
      });
    try {
      sink.resolve(...(await retrying(this.#connection, this.#retryMs, attempt)));
    } catch (error) {
      sink.reject(FilaError.from(error));
    }
  }
}
