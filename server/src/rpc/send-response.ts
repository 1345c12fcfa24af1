// Writes an answer of the RPC library to a response of Node.
import { universalResponseToNodeResponse } from "@connectrpc/connect-node";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import type { NodeRequest, NodeResponse } from "./node-request.ts";

/** Resolves when it is written; rejects when that fails. */
export function sendResponse(
  request: NodeRequest,
  universal: UniversalServerResponse,
  response: NodeResponse,
): Promise<void> {
  // The answer to HEAD ends with its headers. A body behind it would be an error of the HTTP/2 stream, and the reset
  // that follows can overtake the headers.
  const { body: _, ...headersOnly } = universal;
  return universalResponseToNodeResponse(request.method === "HEAD" ? headersOnly : universal, response);
}
