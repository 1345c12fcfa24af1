// Takes messages over StreamLease and refuses each for good, as a worker does that cannot use it.
import { doTask } from "../program-task.ts";
import { bytesLeaseClient } from "./lease-client.ts";
import { RequestQueue } from "./request-queue.ts";
import { deadLetterTail } from "./wire-bytes.ts";

export interface DeadLetterTask {
  readonly url: string;
  readonly queue: string;
  /** The queue holds so many. */
  readonly messages: number;
}

const credit = 1_000;

await doTask(async ({ url, queue, messages }: DeadLetterTask) => {
  const client = bytesLeaseClient(url, queue, deadLetterTail("TypeError: order.lines is not iterable"));
  type Request = ReturnType<typeof client.subscribe>;
  const requests = new RequestQueue<Request>();
  requests.push(client.subscribe(credit));
  let done = 0;
  for await (const response of client.open(requests)) {
    if (client.delivered(response) > 0) requests.push(client.acks(response));
    done += client.acked(response);
    if (done === messages) requests.end();
  }
});
