// The peer of everything remote: connect-node with the broker's methods, whose handlers do nothing.
import http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { FilaService } from "@fila/sdk/gen";
import { beginTask, say } from "../program-task.ts";

await beginTask(async () => {
  const adapter = connectNodeAdapter({
    routes(router) {
      router.service(FilaService, {
        enqueue: () => ({}),
        async *streamEnqueue(requests) {
          for await (const _request of requests) yield {};
        },
      });
    },
    acceptCompression: [],
  });
  const server = http2.createServer(adapter);
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo;
    void say({ url: `http://127.0.0.1:${port}` });
  });
});
