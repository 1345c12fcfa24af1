// Every protocol that the RPC library offers (gRPC, gRPC-Web, Connect, JSON) for requests of node:http and node:http2.
// What connectNodeAdapter does, with three differences: no request can throw past it (a forged Host header does, there),
// errors carry details, and an unknown procedure is explained.
import type { IncomingHttpHeaders } from "node:http";
import { createRegistry } from "@bufbuild/protobuf";
import { Code, ConnectError, createConnectRouter, createContextValues } from "@connectrpc/connect";
import type { ConnectRouter, ContextValues, Interceptor } from "@connectrpc/connect";
import { universalRequestFromNodeRequest } from "@connectrpc/connect-node";
import type { UniversalServerResponse } from "@connectrpc/connect/protocol";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "@fila/sdk/gen";
import type { ConnectionId } from "../core/commands.ts";
import { failure } from "../core/errors.ts";
import type { Log } from "../telemetry/log.ts";
import { ruleOf } from "./access/authorization-table.ts";
import type { Rule } from "./access/authorization-table.ts";
import { authorize } from "./access/authorize.ts";
import { admit, callerKey } from "./access/caller.ts";
import type { Authenticator } from "./access/principal.ts";
import { audit } from "./audit.ts";
import { completeError, connectError, funnel } from "./connect-error.ts";
import { parseConnectTimeout, parseGrpcTimeout } from "./hot/deadline.ts";
import type { CallReport } from "./hot/hot-path.ts";
import { errorResponse, withCompleteErrors } from "./error-completion.ts";
import type { CompletedHandler } from "./error-completion.ts";
import { withGrpcWebText } from "./grpc-web-text.ts";
import { jsonReadMaxBytes, JsonText } from "./json-requests.ts";
import { pathOf } from "./node-request.ts";
import type { NodeRequest, NodeResponse } from "./node-request.ts";
import { refuseCall } from "./refused-call.ts";
import { withBoundedParts } from "./request-parts.ts";
import { sendResponse } from "./send-response.ts";
import { codeOf } from "./wire/failure-wire.ts";

export type ConnectHandler = (request: NodeRequest, response: NodeResponse, connection: ConnectionId) => void;

const OK = 0;

/** The longest time that a timer of Node can hold; beyond it a timer fires at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

// Lets the JSON form of an error show its details in plain text.
const jsonOptions = { registry: createRegistry(ErrorInfoSchema, BadRequestSchema, RetryInfoSchema) };

export interface ConnectHandlerOptions {
  readonly routes: (router: ConnectRouter) => void;
  readonly readMaxBytes: number;
  readonly maxMessageBytes: number;
  readonly authenticate: Authenticator;
  readonly log: Log;
  /** Called at the end of each call. */
  readonly onCall?: ((report: CallReport) => void) | undefined;
}

interface Served {
  readonly method: string;
  readonly rule: Rule;
  readonly handle: CompletedHandler;
}

export function createConnectHandler({
  routes,
  readMaxBytes,
  maxMessageBytes,
  authenticate,
  log,
  onCall,
}: ConnectHandlerOptions): ConnectHandler {
  const requestJson = {
    ...jsonOptions,
    // A misspelt field would be lost without a word.
    ignoreUnknownFields: false,
    textDecoder: new JsonText(jsonReadMaxBytes(maxMessageBytes, readMaxBytes)),
  };
  const router = createConnectRouter({
    acceptCompression: [],
    readMaxBytes,
    maxTimeoutMs: MAX_TIMEOUT_MS,
    jsonOptions: requestJson,
    binaryOptions: { readUnknownFields: false },
    interceptors: [audit(log), errorFunnel(log), authorize],
  });
  routes(router);
  const handlers = new Map<string, Served>();
  for (const handler of router.handlers) {
    const complete = (error: ConnectError, procedure: string): ConnectError => completeError(error, log, procedure);
    const rule = ruleOf(handler.requestPath);
    if (rule === undefined) throw new Error(`${handler.requestPath} has no row in the authorisation table`);
    const bounded = withBoundedParts(
      withCompleteErrors(handler, complete, jsonOptions),
      handler.method.input,
      readMaxBytes,
    );
    const handle = withGrpcWebText(bounded);
    handlers.set(handler.requestPath, { method: handler.method.name, rule, handle });
  }

  /** @param failed called with the status of the answer if it is an error */
  async function answer(
    handler: Served | undefined,
    request: NodeRequest,
    response: NodeResponse,
    connection: ConnectionId,
    failed: (code: number) => void,
  ): Promise<void> {
    if (handler === undefined) {
      failed(Code.Unimplemented);
      request.resume();
      await sendResponse(request, unknownProcedure(request), response);
      return;
    }
    const caller = admit(handler.rule, authenticate, request.headers, connection);
    if ("reason" in caller) {
      failed(codeOf(caller));
      return refuseCall(request, response, connectError(caller), jsonOptions);
    }
    const values = createContextValues().set(callerKey, caller);
    const answered = await handler.handle(toUniversal(request, response, values), failed);
    await sendResponse(request, answered, response);
  }

  return (request, response, connection) => {
    const startedAt = performance.now();
    const handler = handlers.get(pathOf(request));
    let code = OK;
    let isBroken = false;
    // What the library promises is not kept when all went well, so the response itself says when it is over.
    response.once("close", () => {
      if (!response.writableEnded && !isBroken) code = Code.Canceled;
      const method = handler?.method ?? "unknown";
      onCall?.({ method, protocol: "library", code, durationMs: performance.now() - startedAt });
    });
    const failed = (status: number): void => void (code = status);
    answer(handler, request, response, connection, failed).catch((reason: unknown) => {
      // Mostly a client that went away in the middle of an answer.
      if (!isAbandoned(reason)) {
        isBroken = true;
        code = Code.Unknown;
        log.error("an answer could not be written", reason, { path: pathOf(request) });
      }
      response.destroy();
    });
  };
}

function errorFunnel(log: Log): Interceptor {
  return (next) => async (request) => {
    const procedure = request.url.slice(request.url.lastIndexOf("/") + 1);
    try {
      const response = await next(request);
      if (!response.stream) return response;
      return { ...response, message: funnelled(response.message, log, procedure, request.signal) };
    } catch (reason) {
      throw funnel(reason, log, procedure, request.signal);
    }
  };
}

async function* funnelled<T>(
  messages: AsyncIterable<T>,
  log: Log,
  procedure: string,
  signal: AbortSignal,
): AsyncIterable<T> {
  try {
    yield* messages;
  } catch (reason) {
    throw funnel(reason, log, procedure, signal);
  }
}

function toUniversal(request: NodeRequest, response: NodeResponse, values: ContextValues) {
  // The library builds an URL from this header and throws on one that makes none.
  const headers: { host?: string | undefined; ":authority"?: string | undefined } = request.headers;
  const authority = headers[":authority"] ?? headers.host;
  if (authority === undefined || !URL.canParse(`http://${authority}/`))
    headers.host = headers[":authority"] = "localhost";
  dropEndlessTimeouts(request.headers);
  return universalRequestFromNodeRequest(request, response, undefined, values);
}

/** A time limit of more than 24 days is none; the library would give it to a timer that then fires at once. */
function dropEndlessTimeouts(headers: IncomingHttpHeaders): void {
  const { "grpc-timeout": grpc, "connect-timeout-ms": connect } = headers;
  if (grpc !== undefined && parseGrpcTimeout(String(grpc), MAX_TIMEOUT_MS) === MAX_TIMEOUT_MS) {
    delete headers["grpc-timeout"];
  }
  if (connect !== undefined && parseConnectTimeout(String(connect), MAX_TIMEOUT_MS) === MAX_TIMEOUT_MS) {
    delete headers["connect-timeout-ms"];
  }
}

function unknownProcedure(request: NodeRequest): UniversalServerResponse {
  const path = pathOf(request);
  const shown = path.length > 200 ? `${path.slice(0, 200)}...` : path;
  const error = connectError(
    failure(
      "NOT_IMPLEMENTED",
      `this broker has no ${shown}; procedures are /fila.v1.FilaService/* and /fila.v1.FilaAdmin/*`,
    ),
  );
  const contentType = request.headers["content-type"] ?? "";
  if (!contentType.startsWith("application/grpc")) return errorResponse(error, 404, jsonOptions);
  // gRPC wants its status, and a "trailers-only" answer carries it in the header.
  const header = setTrailerStatus(new Headers({ "content-type": contentType }), error);
  return { status: 200, header };
}

function isAbandoned(reason: unknown): boolean {
  const { code } = ConnectError.from(reason);
  return code === Code.Aborted || code === Code.Canceled;
}
