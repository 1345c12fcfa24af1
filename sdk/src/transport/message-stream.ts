// One bidirectional stream of the Connect protocol over HTTP/2, as bytes. The two hot streams use it in place of
// connect-node's client, so that a frame is encoded once, by us, and answers are read without building objects.
import type { ClientHttp2Stream, IncomingHttpHeaders } from "node:http2";
import { endStreamFromJson } from "@connectrpc/connect/protocol-connect";
import { FilaError } from "../errors.ts";

/** What a stream tells its owner. `closed` comes exactly once and last. */
export interface StreamEvents {
  /** One message of the server, a view that nobody else writes to. The only one that may throw: a FilaError that drops
   * the stream. */
  message(bytes: Uint8Array): void;
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

/** An answer of the broker is at most this long, bytes; a longer one is not from a Fila server. */
const maximumAnswerBytes = 64 * 1024 * 1024;

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
    this.#envelopes = new EnvelopeReader((flags, bytes) => this.#received(flags, bytes));
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

  #received(flags: number, bytes: Uint8Array): void {
    if (this.#closed) return;
    if ((flags & 1) !== 0)
      throw new FilaError("internal", "PROTOCOL_ERROR", "the server compressed what was not to be compressed");
    if ((flags & 2) === 0) {
      this.#events.message(bytes);
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

/** Cuts a byte stream into envelopes: one byte of flags, four bytes of length, the message. */
export class EnvelopeReader {
  readonly #deliver: (flags: number, bytes: Uint8Array) => void;
  readonly #header = new Uint8Array(5);
  #headerFill = 0;
  #body: Uint8Array | undefined;
  #bodyFill = 0;

  constructor(deliver: (flags: number, bytes: Uint8Array) => void) {
    this.#deliver = deliver;
  }

  /** Takes the next bytes. Throws FilaError internal PROTOCOL_ERROR. */
  push(chunk: Uint8Array): void {
    let position = 0;
    while (position < chunk.length) {
      if (this.#body === undefined) {
        const part = Math.min(5 - this.#headerFill, chunk.length - position);
        this.#header.set(chunk.subarray(position, position + part), this.#headerFill);
        this.#headerFill += part;
        position += part;
        if (this.#headerFill < 5) return;
        const size = this.#size();
        if (chunk.length - position >= size) {
          // All of it is here: no copy.
          this.#complete(chunk.subarray(position, position + size));
          position += size;
          continue;
        }
        this.#body = new Uint8Array(size);
        this.#bodyFill = 0;
      }
      const body: Uint8Array = this.#body;
      const part = Math.min(body.length - this.#bodyFill, chunk.length - position);
      body.set(chunk.subarray(position, position + part), this.#bodyFill);
      this.#bodyFill += part;
      position += part;
      if (this.#bodyFill === body.length) this.#complete(body);
    }
  }

  #size(): number {
    const [, a = 0, b = 0, c = 0, d = 0] = this.#header;
    const size = a * 0x1000000 + b * 0x10000 + c * 0x100 + d;
    if (size <= maximumAnswerBytes) return size;
    throw new FilaError("internal", "PROTOCOL_ERROR", `the server announced a message of ${size} bytes`);
  }

  #complete(bytes: Uint8Array): void {
    this.#headerFill = 0;
    this.#body = undefined;
    this.#deliver(this.#header[0] ?? 0, bytes);
  }
}
