// One bidirectional stream of the Connect protocol over HTTP/2, as bytes. The two hot streams use it in place of
// connect-node's client, so that a frame is encoded once, by us, and answers are read without building objects.
import type { ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { endStreamFromJson } from "@connectrpc/connect/protocol-connect";
import { FilaError } from "../errors.ts";
import { EnvelopeReader } from "./envelope-reader.ts";

/** What a stream tells its owner. `closed` comes exactly once and last. */
export interface StreamEvents {
  /** Whether messages may come in parts, each of whole fields, which spares a copy of long ones. Default: false. */
  readonly inParts?: boolean;
  /** One message of the server, or a part of one, a view that nobody else writes to. `last`: the message ends with it. The
   * only one that may throw: a FilaError that drops the stream. */
  message(bytes: Uint8Array, last: boolean): void;
  /** After a `send` that returned false: more may be sent. */
  writable(): void;
  /** undefined: the server ended the stream without an error. */
  closed(error: FilaError | undefined): void;
}

/** What an owner may do. After `closed` everything is without effect. */
export interface MessageStream {
  /** Sends a frame with its envelope. False: it is under way, but wait for `writable` before the next one. */
  send(frame: Uint8Array): boolean;
  /** Nothing more will be sent; answers still come. */
  end(): void;
  /** Drops the stream at once. */
  cancel(): void;
}

/**
 * opening ─opened─▶ open ─end-of-stream message, error or close─▶ closed; opening ─failure─▶ closed.
 * What is sent while opening waits; its owner bounds it. `closed` is told once, whatever comes after it.
 */
export class Http2MessageStream implements MessageStream {
  readonly #events: StreamEvents;
  readonly #envelopes: EnvelopeReader;
  #stream: ClientHttp2Stream | undefined;
  #waiting: Uint8Array[] = [];
  #ended = false;
  #closed = false;

  constructor(opening: Promise<ClientHttp2Stream>, events: StreamEvents) {
    this.#events = events;
    this.#envelopes = new EnvelopeReader(events.inParts ?? false, (flags, bytes, last) =>
      this.#received(flags, bytes, last),
    );
    opening.then(
      (stream) => this.#opened(stream),
      (error: unknown) => this.#close(FilaError.from(error)),
    );
  }

  send(frame: Uint8Array): boolean {
    if (this.#closed || this.#ended) return true;
    if (this.#stream === undefined) {
      this.#waiting.push(frame);
      return true;
    }
    return this.#stream.write(frame);
  }

  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#stream?.end();
  }

  cancel(): void {
    this.#stream?.close(8 /* CANCEL */);
    this.#close(new FilaError("canceled", "CLIENT_CLOSED", "the stream was closed by this client"));
  }

  #opened(stream: ClientHttp2Stream): void {
    stream.on("error", (error) => this.#close(FilaError.from(error)));
    if (this.#closed) {
      stream.close(8);
      return;
    }
    this.#stream = stream;
    stream.on("response", (headers) => this.#answered(headers));
    stream.on("data", (chunk: Uint8Array) => this.#data(chunk));
    stream.on("drain", () => {
      if (!this.#closed) this.#events.writable();
    });
    stream.on("close", () => this.#close(connectionLost()));
    for (const frame of this.#waiting) stream.write(frame);
    this.#waiting = [];
    if (this.#ended) stream.end();
  }

  #answered(headers: IncomingHttpHeaders): void {
    const status = Number(headers[":status"]);
    if (status === 200 && headers["content-type"] === "application/connect+proto") return;
    const code = status === 503 || status === 502 || status === 429 ? "unavailable" : "unimplemented";
    this.#fail(
      new FilaError(code, "PROTOCOL_ERROR", `the server answered HTTP ${status}; is this address a Fila server?`),
    );
  }

  #data(chunk: Uint8Array): void {
    if (this.#closed) return;
    try {
      this.#envelopes.push(chunk);
    } catch (error) {
      this.#fail(FilaError.from(error));
    }
  }

  #received(flags: number, bytes: Uint8Array, last: boolean): void {
    if (this.#closed) return;
    if ((flags & 1) !== 0)
      throw new FilaError("internal", "PROTOCOL_ERROR", "the server compressed what was not to be compressed");
    if ((flags & 2) === 0) {
      this.#events.message(bytes, last);
      return;
    }
    const end = endStreamFromJson(bytes);
    this.#close(end.error === undefined ? undefined : FilaError.from(end.error));
    // Ours ends too, else the stream stays half open and counts against the server's limit.
    this.end();
  }

  #fail(error: FilaError): void {
    this.#stream?.close(8);
    this.#close(error);
  }

  #close(error: FilaError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#waiting = [];
    this.#events.closed(error);
  }
}

/** The connection ended before the stream did. */
function connectionLost(): FilaError {
  return new FilaError("unavailable", "CONNECTION_LOST", "the connection to the server was lost");
}
