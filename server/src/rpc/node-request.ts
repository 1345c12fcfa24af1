// Requests and responses of node:http, and of node:http2 in the shape that node:http gave them.
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";

export type NodeRequest = IncomingMessage | Http2ServerRequest;
export type NodeResponse = ServerResponse | Http2ServerResponse;

/** Without its query. */
export function pathOf(request: NodeRequest): string {
  const url = request.url ?? "";
  const query = url.indexOf("?");
  return query === -1 ? url : url.slice(0, query);
}

/** Answers with a line or more of text; for HEAD without them. What the request carries is let go. */
export function answerText(
  request: NodeRequest,
  response: NodeResponse,
  status: number,
  text: string,
  more: Readonly<Record<string, string>> = {},
): void {
  request.resume();
  if (response.headersSent) return;
  const headers = {
    "content-type": "text/plain; charset=utf-8",
    "content-length": String(Buffer.byteLength(text)),
    // The text may quote the request, and must not be taken for anything but text.
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
    ...more,
  };
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (request.method === "HEAD") response.end();
  else response.end(text);
}
