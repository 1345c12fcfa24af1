// gRPC-Web in its text form (application/grpc-web-text), which the RPC library does not serve: the binary form, in base64.
// Browsers that cannot read the body of an answer as it comes need it for streams; Google's generated clients use it.
import { Code, ConnectError } from "@connectrpc/connect";
import type { CompletedHandler } from "./error-completion.ts";

const TEXT = /^application\/grpc-web-text(?=\+proto$|$)/i;

/** A handler for both forms. */
export function withGrpcWebText(handler: CompletedHandler): CompletedHandler {
  return async (request, failed) => {
    const contentType = request.header.get("content-type") ?? "";
    if (!TEXT.test(contentType)) return handler(request, failed);
    const header = new Headers(request.header);
    header.set("content-type", contentType.replace(TEXT, "application/grpc-web"));
    // The body is bytes: it comes from node:http as it is.
    const body = decoded(request.body as AsyncIterable<Uint8Array>);
    const response = await handler({ ...request, header, body }, failed);
    const answered = response.header?.get("content-type") ?? "";
    if (response.body === undefined || !answered.startsWith("application/grpc-web")) return response;
    const textHeader = new Headers(response.header);
    textHeader.set("content-type", "application/grpc-web-text+proto");
    return { ...response, header: textHeader, body: encoded(response.body) };
  };
}

/** One message, or the whole, may have its padding, so that groups of four stand on their own. */
async function* decoded(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  let rest = "";
  for await (const chunk of body) {
    const text = rest + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString("latin1");
    const whole = text.length - (text.length % 4);
    rest = text.slice(whole);
    if (whole > 0) yield fromBase64(text.slice(0, whole));
  }
  if (rest !== "") throw malformed();
}

function fromBase64(text: string): Uint8Array {
  if (!/^(?:[\w+/-]{4}|[\w+/-]{3}=|[\w+/-]{2}==)*$/.test(text)) throw malformed();
  // Padding in the middle ends a message; the next one begins anew.
  const parts = text.match(/[^=]+=*/g) ?? [];
  return Buffer.concat(parts.map((part) => Buffer.from(part, "base64")));
}

function malformed(): ConnectError {
  return new ConnectError("the body is not base64, as application/grpc-web-text must be", Code.InvalidArgument);
}

async function* encoded(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  // Each chunk is one message, and is to be readable when it arrives: hence with its own padding.
  for await (const chunk of body) {
    yield Buffer.from(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString("base64"), "latin1");
  }
}
