// Workers that wait: half of them over StreamLease, half over Consume, each over a connection of its own.
import { createClient } from "@connectrpc/connect";
import { FilaService } from "@fila/sdk/gen";
import { beginTask, say } from "../program-task.ts";
import { RequestQueue } from "./request-queue.ts";
import { connectTransport } from "./transports.ts";

export interface IdleStreamsTask {
  readonly url: string;
  readonly queue: string;
  readonly streams: number;
}

await beginTask(async ({ url, queue, streams }: IdleStreamsTask) => {
  const subscribed: Promise<unknown>[] = [];
  const ended = Array.from({ length: streams }, async (_, at) => {
    const headers = Promise.withResolvers<Headers>();
    subscribed.push(headers.promise);
    const client = createClient(FilaService, connectTransport(url));
    const options = { onHeader: headers.resolve };
    const requests = new RequestQueue<object>();
    requests.push({ subscribe: { queue }, credit: 10 });
    const responses = at % 2 === 0 ? client.streamLease(requests, options) : client.consume({ queue }, options);
    for await (const response of responses) {
      const delivered = "messages" in response ? response.messages.length > 0 : response.message !== undefined;
      if (delivered) throw new Error("a message came where there is none");
    }
    throw new Error("the broker ended a stream");
  });
  const first = Promise.race(ended);
  await Promise.race([Promise.all(subscribed), first]);
  await say("waiting");
  await first;
});
