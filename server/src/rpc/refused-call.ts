// A call that is refused before the RPC library sees it: the answer in the form of each protocol.
import { encodeEnvelope } from "@connectrpc/connect/protocol";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { codeToHttpStatus, createEndStreamSerialization, endStreamFlag } from "@connectrpc/connect/protocol-connect";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import type { ConnectError } from "@connectrpc/connect";
import type { JsonWriteOptions } from "@bufbuild/protobuf";
import type { NodeRequest, NodeResponse } from "./node-request.ts";
import { errorResponse } from "./error-completion.ts";
import { sendResponse } from "./send-response.ts";

export async function refuseCall(
  request: NodeRequest,
  response: NodeResponse,
  error: ConnectError,
  jsonOptions: Partial<JsonWriteOptions>,
): Promise<void> {
  // What still comes is not kept.
  request.resume();
  const contentType = request.headers["content-type"] ?? "";
  await sendResponse(request, refusal(error, contentType, jsonOptions), response);
}

function refusal(
  error: ConnectError,
  contentType: string,
  jsonOptions: Partial<JsonWriteOptions>,
): UniversalServerResponse {
  const header = new Headers({ "content-type": contentType });
  // gRPC wants its status, and a "trailers-only" answer carries it in the header. So does gRPC-Web.
  if (contentType.startsWith("application/grpc")) return { status: 200, header: setTrailerStatus(header, error) };
  if (contentType.startsWith("application/connect+")) {
    const end = createEndStreamSerialization(jsonOptions).serialize({ metadata: new Headers(), error });
    return { status: 200, header, body: once(encodeEnvelope(endStreamFlag, end)) };
  }
  return errorResponse(error, codeToHttpStatus(error.code), jsonOptions);
}

async function* once(chunk: Uint8Array): AsyncIterable<Uint8Array> {
  yield chunk;
}
