// HTTP/2 without a library, for what no library would send.
import { connect } from "node:http2";
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, OutgoingHttpHeaders } from "node:http2";

export interface RawAnswer {
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly rstCode: number | undefined;
  /** grpc-status, wherever it stood. */
  readonly status: string | undefined;
}

export class RawClient {
  readonly session: ClientHttp2Session;

  constructor(url: string) {
    this.session = connect(url);
    this.session.on("error", () => {});
  }

  open(method: string, contentType: string, more: OutgoingHttpHeaders = {}): ClientHttp2Stream {
    const stream = this.session.request({
      ":method": "POST",
      ":path": `/fila.v1.FilaService/${method}`,
      "content-type": contentType,
      ...more,
    });
    stream.on("error", () => {});
    return stream;
  }

  /** Sends a whole body and waits for the whole answer. */
  call(method: string, contentType: string, body: Uint8Array, more: OutgoingHttpHeaders = {}): Promise<RawAnswer> {
    const stream = this.open(method, contentType, more);
    stream.end(body);
    return answer(stream);
  }

  close(): void {
    this.session.destroy();
  }
}

export function answer(stream: ClientHttp2Stream): Promise<RawAnswer> {
  let headers: IncomingHttpHeaders = {};
  let trailers: IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  stream.on("response", (got) => (headers = got));
  stream.on("trailers", (got: IncomingHttpHeaders) => (trailers = got));
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => {
    stream.on("close", () => {
      const status = trailers["grpc-status"] ?? headers["grpc-status"];
      resolve({
        headers,
        trailers,
        body: Buffer.concat(chunks),
        rstCode: stream.rstCode,
        status: status === undefined ? undefined : String(status),
      });
    });
  });
}

export function envelope(message: Uint8Array, flags = 0, length = message.length): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, message]);
}
