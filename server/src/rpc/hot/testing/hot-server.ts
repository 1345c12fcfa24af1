import { once } from "node:events";
import { createServer } from "node:http2";
import type { ServerHttp2Stream } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { ConnectionId } from "../../../core/commands.ts";
import { authenticateNobody } from "../../access/principal.ts";
import type { Authenticator } from "../../access/principal.ts";
import { defaultMessageLimits } from "../../wire/limits.ts";
import { createHotPath } from "../hot-path.ts";
import type { CallReport, HotPath, HotPathLimits } from "../hot-path.ts";
import { FakeBroker } from "./fake-broker.ts";

export interface HotServer {
  readonly broker: FakeBroker;
  readonly hot: HotPath;
  readonly url: string;
  readonly reports: CallReport[];
  /** Paths that the hot path left to the library. */
  readonly left: string[];
  stop(): Promise<void>;
}

export async function startHotServer(
  limits: Partial<HotPathLimits> = {},
  authenticate: Authenticator = authenticateNobody,
): Promise<HotServer> {
  const broker = new FakeBroker();
  const reports: CallReport[] = [];
  const left: string[] = [];
  const hot = createHotPath({
    broker,
    // Some clients of these tests never end their half.
    limits: { ...defaultMessageLimits, lateBodyMs: 5, ...limits },
    connectionOf: (): ConnectionId => 7,
    onCall: (report) => reports.push(report),
    authenticate,
  });
  const server = createServer();
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => {});
    if (hot.handle(stream, headers)) return;
    left.push(headers[":path"] ?? "");
    stream.respond({ ":status": 415 }, { endStream: true });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    broker,
    hot,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    reports,
    left,
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}
