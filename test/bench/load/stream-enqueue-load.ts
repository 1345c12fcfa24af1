// StreamEnqueue in frames, several under way. Ends when the window is over, or after a number of messages.
import { connect } from "@fila/sdk";
import { MeasuringWindow } from "../measuring-window.ts";
import type { Throughput, WindowOptions } from "../measuring-window.ts";
import { cycle, makePayloads } from "../payloads.ts";
import { doTask } from "../program-task.ts";
import { bytesEnqueueClient, fairnessKeyOf, generatedEnqueueClient } from "./enqueue-client.ts";
import type { EnqueueClient, EnqueueTarget } from "./enqueue-client.ts";
import { RequestQueue } from "./request-queue.ts";

export interface StreamEnqueueTask {
  readonly target: EnqueueTarget;
  readonly client: "bytes" | "generated" | "sdk";
  readonly frameSize: number;
  readonly framesUnderWay: number;
  readonly until: WindowOptions | { readonly messages: number };
}

export type StreamEnqueueResult = Throughput | { readonly total: number };

/** When the load ends, and what it came to. */
interface Ending {
  readonly over: boolean;
  completed(messages: number): void;
  result(): StreamEnqueueResult;
}

function endingOf(until: StreamEnqueueTask["until"]): Ending {
  if (!("messages" in until)) {
    const window = new MeasuringWindow(until);
    return {
      get over() {
        return window.over;
      },
      completed: (messages) => window.completed(messages),
      result: () => window.throughput(),
    };
  }
  let total = 0;
  return {
    get over() {
      return total >= until.messages;
    },
    completed: (messages) => void (total += messages),
    result: () => ({ total }),
  };
}

async function throughConnect<Request, Response>(
  client: EnqueueClient<Request, Response>,
  { frameSize, framesUnderWay }: StreamEnqueueTask,
  ending: Ending,
): Promise<void> {
  const requests = new RequestQueue<Request>();
  const responses = client.open(requests);
  for (let frame = 0; frame < framesUnderWay; frame++) requests.push(client.frame(frameSize));
  let underWay = framesUnderWay;
  for await (const response of responses) {
    ending.completed(client.stored(response));
    if (!ending.over) requests.push(client.frame(frameSize));
    else if (--underWay === 0) requests.end();
  }
}

/** The SDK forms its frames itself. */
async function throughSdk({ url, queue, keys }: EnqueueTarget, ending: Ending): Promise<void> {
  const fila = connect(url);
  const next = cycle(
    makePayloads().map((payload, at) => ({ payload, fairnessKey: fairnessKeyOf(at, keys) || undefined })),
  );
  function* messages(): Generator<ReturnType<typeof next>> {
    while (!ending.over) yield next();
  }
  let stored = 0;
  for await (const result of fila.enqueueMany(queue, messages())) {
    if (!result.ok) throw result.error;
    // Looking at the clock for every message would be a cost of the benchmark.
    if (++stored % 100 === 0) ending.completed(100);
  }
  ending.completed(stored % 100);
  await fila.close();
}

await doTask(async (task: StreamEnqueueTask) => {
  const ending = endingOf(task.until);
  if (task.client === "sdk") await throughSdk(task.target, ending);
  else if (task.client === "bytes") await throughConnect(bytesEnqueueClient(task.target), task, ending);
  else await throughConnect(generatedEnqueueClient(task.target), task, ending);
  return ending.result();
});
