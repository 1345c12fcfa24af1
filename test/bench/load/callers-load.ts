// Callers in a closed loop: each calls, waits for its answer, calls again.
import { createClient } from "@connectrpc/connect";
import { connect } from "@fila/sdk";
import { FilaService } from "@fila/sdk/gen";
import { MeasuringWindow } from "../measuring-window.ts";
import type { WindowOptions } from "../measuring-window.ts";
import { cycle, makePayloads } from "../payloads.ts";
import { doTask } from "../program-task.ts";
import { grpcTransport } from "./transports.ts";

export interface CallersTask {
  readonly url: string;
  readonly queue: string;
  readonly callers: number;
  /** sdk: `enqueue()` of the SDK. grpc: unary Enqueue by connect-node's gRPC client. */
  readonly client: "sdk" | "grpc";
  readonly window: WindowOptions;
}

await doTask(async ({ url, queue, callers, client, window }: CallersTask) => {
  const payload = cycle(makePayloads());
  const enqueue = client === "sdk" ? sdkCaller(url, queue) : grpcCaller(url, queue);
  const measuring = new MeasuringWindow(window);
  const call = async (): Promise<void> => {
    while (!measuring.over) {
      await enqueue(payload());
      measuring.completed(1);
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  return measuring.throughput();
});

function sdkCaller(url: string, queue: string): (payload: Uint8Array) => Promise<unknown> {
  const fila = connect(url);
  return (payload) => fila.enqueue(queue, payload);
}

function grpcCaller(url: string, queue: string): (payload: Uint8Array) => Promise<unknown> {
  const client = createClient(FilaService, grpcTransport(url));
  return (payload) => client.enqueue({ queue, payload });
}
