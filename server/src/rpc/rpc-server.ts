// Everything between the port and the broker.
import { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Broker } from "../broker/contract.ts";
import type { ConnectionId } from "../core/commands.ts";
import type { Log } from "../telemetry/log.ts";
import type { Authenticator } from "./access/principal.ts";
import { createConnectHandler } from "./connect-handler.ts";
import { Cors } from "./cors.ts";
import { createHotPath } from "./hot/hot-path.ts";
import type { CallReport } from "./hot/hot-path.ts";
import { closeRequestHalf } from "./hot/http2-call.ts";
import { listen } from "./listener.ts";
import type { NodeRequest, NodeResponse } from "./node-request.ts";
import { defaultServerLimits } from "./server-limits.ts";
import type { ServerLimits } from "./server-limits.ts";
import { createPages } from "./pages.ts";
import type { MetricsText } from "./pages.ts";
import { endlessPaths, registerServices } from "./services.ts";
import { defaultMessageLimits } from "./wire/limits.ts";

export interface RpcOptions {
  readonly broker: Broker;
  /** "" = every interface. */
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  readonly maxConnections: number;
  readonly readMaxBytes: number;
  readonly maxMessageBytes: number;
  /** Who calls: asked before anything else of a call is looked at, but for probes (access/authorization-table.ts). */
  readonly authenticate: Authenticator;
  /** Origins whose pages may call, like "https://app.example.com"; "*" = all. Default: none but the port's own. */
  readonly corsOrigins?: readonly string[];
  /** What GET /metrics shows. Called once at a time. Absent: there are none. */
  readonly metrics?: (() => Promise<MetricsText>) | undefined;
  readonly log: Log;
  /** Called at the end of each call, whatever protocol it spoke. */
  readonly onCall?: ((report: CallReport) => void) | undefined;
  /** Default: defaultServerLimits. */
  readonly limits?: ServerLimits;
}

export interface RpcServer {
  readonly host: string;
  readonly port: number;
  /** What is open at this moment: connections whose protocol is known, and HTTP/2 streams. */
  open(): { readonly connections: number; readonly streams: number };
  /** No new connections, and streams of producers end after their results. Everything else goes on, so that workers can
   * settle what they hold. To be followed by the broker's own stop, then by `close`. */
  drain(): void;
  /** Answers what has no answer yet with UNAVAILABLE and ends every connection, after `graceMs` by force. */
  close(graceMs: number): Promise<void>;
}

/** Rejects with the error of node:net when the address cannot be had. */
export async function startRpc(options: RpcOptions): Promise<RpcServer> {
  const { broker, log, readMaxBytes, maxMessageBytes, authenticate, onCall, limits = defaultServerLimits } = options;
  const hotPath = createHotPath({
    broker,
    limits: {
      ...defaultMessageLimits,
      maxPayloadBytes: maxMessageBytes,
      readMaxBytes,
      lateBodyMs: limits.lateBodyMs,
    },
    // The listener names the connection at each call.
    connectionOf: () => 0,
    authenticate,
    ...(onCall && { onCall }),
  });
  const closing = new AbortController();
  const connect = createConnectHandler({
    routes: (router) => registerServices(router, broker, hotPath.door, closing.signal),
    readMaxBytes,
    maxMessageBytes,
    authenticate,
    log,
    onCall,
  });
  const { metrics } = options;
  const pages = createPages({ broker, metrics, metricsTimeoutMs: limits.bodyTimeoutMs, authenticate, log });
  const cors = new Cors(options.corsOrigins ?? []);
  const handle = (request: NodeRequest, response: NodeResponse, connection: ConnectionId): void => {
    if (cors.handle(request, response)) return;
    if (!pages(request, response, connection)) connect(request, response, connection);
  };
  const endless = endlessPaths();
  const listener = await listen({
    host: options.host,
    port: options.port,
    maxConnections: options.maxConnections,
    limits,
    log,
    handlers: {
      connected: () => broker.nextConnection(),
      disconnected: (connection) => broker.disconnected(connection),
      hasEndlessBody: (path) => endless.has(path),
      request: handle,
      stream(stream, headers, rawHeaders, connection) {
        // The hot path has no headers of its own to add.
        if (!cors.concerns(headers) && hotPath.handle(stream, headers, connection)) return;
        const request = new Http2ServerRequest(stream, headers, {}, rawHeaders);
        stream.once("finish", () => closeRequestHalf(stream, limits));
        handle(request, new Http2ServerResponse(stream), connection);
      },
    },
  });
  return {
    host: listener.host,
    port: listener.port,
    open: () => listener.open(),
    drain() {
      listener.stopAccepting();
      hotPath.drain();
    },
    async close(graceMs) {
      closing.abort();
      // Calls that hang are ended together with their connections.
      await Promise.all([hotPath.close(), listener.close(graceMs)]);
    },
  };
}
