// A real port in front of a fake broker, for one test.
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import type { TestContext } from "node:test";
import { createLog } from "../../telemetry/log.ts";
import { authenticateNobody } from "../access/principal.ts";
import { startRpc } from "../rpc-server.ts";
import type { RpcOptions, RpcServer } from "../rpc-server.ts";
import { FakeBroker } from "./fake-broker.ts";

export interface RpcFixture {
  readonly broker: FakeBroker;
  readonly rpc: RpcServer;
  readonly url: string;
  /** Lines of the log. */
  readonly logged: readonly string[];
  /** A raw connection. */
  readonly open: () => Promise<Socket>;
}

export async function startFixture(t: TestContext, more: Partial<RpcOptions> = {}): Promise<RpcFixture> {
  const broker = new FakeBroker();
  const logged: string[] = [];
  const rpc = await startRpc({
    broker,
    host: "127.0.0.1",
    port: 0,
    maxConnections: 1000,
    readMaxBytes: 4 * 1024 * 1024,
    maxMessageBytes: 1024 * 1024,
    authenticate: authenticateNobody,
    log: createLog({ write: (line) => logged.push(line), readable: true }),
    ...more,
  });
  t.after(() => rpc.close(0));
  return {
    broker,
    rpc,
    url: `http://127.0.0.1:${rpc.port}`,
    logged,
    async open() {
      const socket = connect(rpc.port, "127.0.0.1");
      socket.on("error", () => {});
      t.after(() => socket.destroy());
      await once(socket, "connect");
      return socket;
    },
  };
}

/** Everything that the peer sends until it closes, be it by a reset: that is what becomes of bytes it never read. */
export async function readToEnd(socket: Socket): Promise<string> {
  let text = "";
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => (text += chunk));
  if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
  return text;
}
