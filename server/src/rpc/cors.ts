// What lets pages of other origins call the broker (the CORS protocol of the Fetch standard). Without a configured
// origin, no header of it is sent, and browsers keep other pages away.
import type { IncomingHttpHeaders } from "node:http";
import { cors } from "@connectrpc/connect";
import { answerText } from "./node-request.ts";
import type { NodeRequest, NodeResponse } from "./node-request.ts";

/** "*": of every origin. Credentials of the browser (cookies) are never allowed: keys travel in a header. */
const ANY_ORIGIN = "*";
const ALLOWED_METHODS = ["GET", "HEAD", ...cors.allowedMethods.filter((method) => method !== "GET")].join(", ");
/** What the protocols need, keys, and the trace that a call belongs to. */
const ALLOWED_HEADERS = [...cors.allowedHeaders, "Authorization", "Traceparent", "Tracestate"].join(", ");
const EXPOSED_HEADERS = cors.exposedHeaders.join(", ");
/** For how long a browser may remember an answer, seconds; none remembers longer. */
const MAX_AGE_S = 7200;

export class Cors {
  readonly #origins: ReadonlySet<string>;

  /** @param origins as browsers send them, like "https://app.example.com", or "*"; none = no page of another origin */
  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins);
  }

  /** Whether the answer to such a request needs headers of this protocol. */
  concerns({ origin }: IncomingHttpHeaders): boolean {
    return origin !== undefined && this.#origins.size > 0;
  }

  /** Adds to the answer what the browser needs. True: the request was a preflight, and is answered. */
  handle(request: NodeRequest, response: NodeResponse): boolean {
    if (this.#origins.size === 0) return false;
    const { origin, "access-control-request-method": asksFor } = request.headers;
    const any = this.#origins.has(ANY_ORIGIN);
    // Also without an origin: a cache must not give one origin's answer to another.
    if (!any) response.setHeader("vary", "Origin");
    if (origin === undefined) return false;
    const preflight = request.method === "OPTIONS" && asksFor !== undefined;
    if (!any && !this.#origins.has(origin)) {
      if (!preflight) return false;
      answerText(request, response, 403, "pages of this origin may not call the broker; see server.cors_origins\n");
      return true;
    }
    response.setHeader("access-control-allow-origin", any ? ANY_ORIGIN : origin);
    if (!preflight) {
      response.setHeader("access-control-expose-headers", EXPOSED_HEADERS);
      return false;
    }
    response.setHeader("access-control-allow-methods", ALLOWED_METHODS);
    response.setHeader("access-control-allow-headers", ALLOWED_HEADERS);
    response.setHeader("access-control-max-age", String(MAX_AGE_S));
    response.statusCode = 204;
    request.resume();
    response.end();
    return true;
  }
}
