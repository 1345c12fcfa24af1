// One cleartext port for everything: looks at the first bytes of a connection and hands it to the right half.
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import type { Log } from "../telemetry/log.ts";
import { readFirstBytes } from "./first-bytes.ts";
import { Http1Door } from "./http1-door.ts";
import type { Http1Handlers } from "./http1-door.ts";
import { Http2Door } from "./http2-door.ts";
import type { Http2Handlers } from "./http2-door.ts";
import { RareLog } from "./rare-log.ts";
import type { ServerLimits } from "./server-limits.ts";

export interface ListenerOptions {
  /** "" = every interface. */
  readonly host: string;
  /** 0 = any free one. */
  readonly port: number;
  readonly maxConnections: number;
  readonly limits: ServerLimits;
  readonly handlers: Http1Handlers & Http2Handlers;
  readonly log: Log;
}

export interface Listener {
  readonly host: string;
  readonly port: number;
  /** Connections whose protocol is known, and HTTP/2 streams. */
  open(): { readonly connections: number; readonly streams: number };
  /** New connections are refused from now on; those that are open go on. */
  stopAccepting(): void;
  /** Ends every connection: gracefully at first, and by force after `graceMs`. Resolves when the last one is gone. */
  close(graceMs: number): Promise<void>;
}

/** TCP's own search for dead peers; the door of HTTP/2 finds them sooner. */
const TCP_KEEP_ALIVE_MS = 60_000;

/** Rejects with the error of node:net when the address cannot be had. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const { limits, handlers, log } = options;
  const rarely = new RareLog(log);
  const http1 = new Http1Door(limits, handlers, log, rarely);
  const http2 = new Http2Door(limits, handlers, log, rarely);
  const undecided = new Set<Socket>();
  const server = createServer(
    { noDelay: true, keepAlive: true, keepAliveInitialDelay: TCP_KEEP_ALIVE_MS },
    (socket) => {
      // First of all: without a listener an error of a socket would end the process.
      socket.on("error", () => {});
      undecided.add(socket);
      socket.once("close", () => undecided.delete(socket));
      readFirstBytes(socket, limits.firstBytesTimeoutMs, (protocol) => {
        undecided.delete(socket);
        if (protocol === "http2") http2.accept(socket);
        else http1.accept(socket);
      });
    },
  );
  server.maxConnections = options.maxConnections;
  server.on("drop", () => rarely.warn("connection refused: too many are open", { max: options.maxConnections }));
  await startListening(server, options);
  // Running out of file descriptors and the like: the connections that are open go on.
  server.on("error", (error) => rarely.error("the listener had an error", error));
  const closed = new Promise<void>((resolve) => server.once("close", resolve));

  const stopAccepting = (): void => {
    if (server.listening) server.close();
  };
  const { address: host, port } = server.address() as AddressInfo;
  return {
    host,
    port,
    stopAccepting,
    open: () => ({ connections: http1.openConnections + http2.openConnections, streams: http2.openStreams }),
    async close(graceMs) {
      stopAccepting();
      for (const socket of undecided) socket.destroy();
      http1.closeGracefully();
      http2.closeGracefully();
      const force = setTimeout(() => {
        http1.destroy();
        http2.destroy();
      }, graceMs);
      await closed;
      clearTimeout(force);
    },
  };
}

function startListening(server: Server, { host, port }: ListenerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, ...(host === "" ? {} : { host }) }, () => {
      server.off("error", reject);
      resolve();
    });
  });
}
