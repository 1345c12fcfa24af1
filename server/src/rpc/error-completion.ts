// Errors that the RPC library itself answers with never pass through our code: it serialises them on its own. This
// wraps a handler and completes them on their way out, in the form that each protocol has for errors.
import { Code, ConnectError } from "@connectrpc/connect";
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import type { UniversalHandler, UniversalServerRequest, UniversalServerResponse } from "@connectrpc/connect/protocol";
import {
  codeToHttpStatus,
  createEndStreamSerialization,
  endStreamFlag,
  errorFromJsonBytes,
  errorToJsonBytes,
} from "@connectrpc/connect/protocol-connect";
import { findTrailerError, setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { trailerFlag, trailerParse, trailerSerialize } from "@connectrpc/connect/protocol-grpc-web";
import type { JsonWriteOptions } from "@bufbuild/protobuf";
import { failure } from "../core/errors.ts";
import { connectError } from "./connect-error.ts";

/** `failed` is called when the status of the answer is known and is an error, which for a stream is at its end. */
export type CompletedHandler = (
  request: UniversalServerRequest,
  failed: (code: Code) => void,
) => Promise<UniversalServerResponse>;

export type CompleteError = (error: ConnectError, procedure: string) => ConnectError;

const ENVELOPE_HEADER_BYTES = 5;

export function withCompleteErrors(
  handler: UniversalHandler,
  complete: CompleteError,
  jsonOptions: Partial<JsonWriteOptions>,
): CompletedHandler {
  return async (request, failed) => {
    const completed = (error: ConnectError): ConnectError => {
      // When the client is gone, what failed is the reading of its request: nobody's fault, and nobody hears the answer.
      const told = request.signal.aborted ? error : complete(error, handler.requestPath);
      failed(told.code);
      return told;
    };
    const response = await handler(request);
    const contentType = response.header?.get("content-type") ?? "";
    if (response.body === undefined) {
      if (response.status >= 400) failed(Code.InvalidArgument);
      return explainRefusal(response, handler, request.header.get("content-type"), jsonOptions);
    }
    if (contentType.startsWith("application/grpc-web")) {
      return {
        ...response,
        body: mapLastEnvelope(response.body, trailerFlag, (data) => grpcWebTrailer(data, completed)),
      };
    }
    if (contentType.startsWith("application/grpc")) return completeTrailer(response, completed);
    if (contentType.startsWith("application/connect+")) {
      const ends = createEndStreamSerialization(jsonOptions);
      return {
        ...response,
        body: mapLastEnvelope(response.body, endStreamFlag, (data) => {
          const end = ends.parse(data);
          return end.error === undefined ? data : ends.serialize({ ...end, error: completed(end.error) });
        }),
      };
    }
    return response.status >= 400 ? completeJson(response, completed, jsonOptions) : response;
  };
}

/** An error without details as the body of a response, for plain HTTP clients. */
export function errorResponse(
  error: ConnectError,
  status: number,
  jsonOptions: Partial<JsonWriteOptions>,
  header = new Headers(),
): UniversalServerResponse {
  const body = errorToJsonBytes(error, jsonOptions);
  header.set("content-type", "application/json");
  header.set("content-length", String(body.byteLength));
  return { status, header, body: once(body) };
}

// 405, 415 and 505 come without a body: somebody with curl deserves to know what to change.
function explainRefusal(
  response: UniversalServerResponse,
  { method }: UniversalHandler,
  contentType: string | null,
  jsonOptions: Partial<JsonWriteOptions>,
): UniversalServerResponse {
  const served = method.methodKind === "unary" ? "application/json" : "application/connect+json";
  const remedies: Readonly<Record<number, string>> = {
    405: "use POST",
    415: `content type ${JSON.stringify(contentType ?? "")} is not served by ${method.name}; for JSON send "content-type: ${served}"`,
    505: "this procedure streams in both directions, which takes HTTP/2",
  };
  const remedy = remedies[response.status];
  if (remedy === undefined) return response;
  const error = connectError(failure("INVALID_REQUEST", remedy));
  return errorResponse(error, response.status, jsonOptions, response.header);
}

async function completeJson(
  response: UniversalServerResponse,
  completed: (error: ConnectError) => ConnectError,
  jsonOptions: Partial<JsonWriteOptions>,
): Promise<UniversalServerResponse> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of response.body ?? []) chunks.push(chunk);
  const fallback = new ConnectError("internal error", Code.Internal);
  const error = completed(errorFromJsonBytes(Buffer.concat(chunks), undefined, fallback));
  return errorResponse(error, codeToHttpStatus(error.code), jsonOptions, response.header);
}

function completeTrailer(
  response: UniversalServerResponse,
  completed: (error: ConnectError) => ConnectError,
): UniversalServerResponse {
  const trailer = response.trailer;
  if (trailer === undefined) return response;
  // The library fills the trailer when the body ends, so it can be looked at only after that.
  async function* thenTrailer(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    yield* body;
    completeStatus(trailer!, completed);
  }
  return { ...response, body: thenTrailer(response.body ?? once()) };
}

function grpcWebTrailer(data: Uint8Array, completed: (error: ConnectError) => ConnectError): Uint8Array {
  const trailer = trailerParse(data);
  completeStatus(trailer, completed);
  return trailerSerialize(trailer);
}

function completeStatus(trailer: Headers, completed: (error: ConnectError) => ConnectError): void {
  const error = findTrailerError(trailer);
  if (error === undefined) return;
  const better = completed(error);
  if (better !== error) setTrailerStatus(trailer, better);
}

/** The library yields whole envelopes, one per chunk; the last one, marked by `flag`, carries the status. */
async function* mapLastEnvelope(
  body: AsyncIterable<Uint8Array>,
  flag: number,
  map: (data: Uint8Array) => Uint8Array,
): AsyncIterable<Uint8Array> {
  for await (const chunk of body) {
    const flags = chunk[0] ?? 0;
    yield (flags & flag) === flag ? encodeEnvelope(flags, map(chunk.subarray(ENVELOPE_HEADER_BYTES))) : chunk;
  }
}

async function* once(...chunks: Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* chunks;
}
