// Enqueue -> StreamLease -> ack, counted when the ack is answered. One producer and one worker in a closed loop.
import { connect, type Fila } from "@fila/sdk";
import { MeasuringWindow } from "../measuring-window.ts";
import type { WindowOptions } from "../measuring-window.ts";
import { cycle, makePayloads } from "../payloads.ts";
import { doTask } from "../program-task.ts";
import { bytesEnqueueClient, fairnessKeyOf, generatedEnqueueClient } from "./enqueue-client.ts";
import type { EnqueueClient, EnqueueTarget } from "./enqueue-client.ts";
import { bytesLeaseClient, generatedLeaseClient } from "./lease-client.ts";
import type { LeaseClient } from "./lease-client.ts";
import { RequestQueue } from "./request-queue.ts";

export interface LifecycleTask {
  readonly target: EnqueueTarget;
  readonly client: "bytes" | "generated" | "sdk" | "work";
  readonly frameSize: number;
  readonly framesUnderWay: number;
  /** Messages that wait in the queue before the worker begins, and from then on. */
  readonly backlog: number;
  /** What the worker may hold. */
  readonly credit: number;
  readonly window: WindowOptions;
}

/** What producer and worker know of each other. */
class Loop {
  readonly #task: LifecycleTask;
  #window: MeasuringWindow | undefined;
  readonly #filled = Promise.withResolvers<undefined>();
  sent = 0;
  stored = 0;
  acked = 0;
  onAcked: () => void = () => undefined;

  constructor(task: LifecycleTask) {
    this.#task = task;
    if (task.backlog === 0) this.#filled.resolve(undefined);
  }

  get maySend(): boolean {
    const { backlog, framesUnderWay, frameSize, credit } = this.#task;
    return (
      !this.over &&
      this.sent - this.stored < framesUnderWay * frameSize &&
      this.sent - this.acked < backlog + credit + framesUnderWay * frameSize
    );
  }

  get over(): boolean {
    return this.#window?.over === true;
  }

  get drained(): boolean {
    return this.over && this.acked === this.sent;
  }

  get filled(): Promise<undefined> {
    return this.#filled.promise;
  }

  storedMore(messages: number): void {
    this.stored += messages;
    if (this.stored >= this.#task.backlog) this.#filled.resolve(undefined);
  }

  ackedMore(messages: number): void {
    this.#window ??= new MeasuringWindow(this.#task.window);
    this.acked += messages;
    this.#window.completed(messages);
    this.onAcked();
  }

  result(): unknown {
    return this.#window!.throughput();
  }
}

async function produce<Request, Response>(
  client: EnqueueClient<Request, Response>,
  loop: Loop,
  frameSize: number,
): Promise<void> {
  const requests = new RequestQueue<Request>();
  const responses = client.open(requests);
  const refill = (): void => {
    while (loop.maySend) {
      loop.sent += frameSize;
      requests.push(client.frame(frameSize));
    }
    if (loop.over && loop.stored === loop.sent) requests.end();
  };
  loop.onAcked = refill;
  refill();
  for await (const response of responses) {
    loop.storedMore(client.stored(response));
    refill();
  }
}

async function consume<Request, Response>(
  client: LeaseClient<Request, Response>,
  loop: Loop,
  credit: number,
): Promise<void> {
  await loop.filled;
  const requests = new RequestQueue<Request>();
  const responses = client.open(requests);
  requests.push(client.subscribe(credit));
  for await (const response of responses) {
    if (client.delivered(response) > 0) requests.push(client.acks(response));
    const acked = client.acked(response);
    if (acked > 0) loop.ackedMore(acked);
    if (loop.drained) requests.end();
  }
}

/** Produces by `enqueueMany` of the SDK. */
async function produceBySdk(fila: Fila, { target: { queue, keys } }: LifecycleTask, loop: Loop): Promise<void> {
  const next = cycle(
    makePayloads().map((payload, at) => ({ payload, fairnessKey: fairnessKeyOf(at, keys) || undefined })),
  );
  let wake = (): void => undefined;
  loop.onAcked = () => wake();
  async function* messages(): AsyncGenerator<ReturnType<typeof next>> {
    while (!loop.over) {
      if (loop.maySend) {
        loop.sent++;
        yield next();
      } else await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  for await (const result of fila.enqueueMany(queue, messages())) {
    if (!result.ok) throw result.error;
    loop.storedMore(1);
    wake();
  }
}

async function throughLeases(task: LifecycleTask, loop: Loop): Promise<void> {
  const { target, credit } = task;
  const fila = connect(target.url);
  const consume = async (): Promise<void> => {
    await loop.filled;
    const drained = new AbortController();
    const failed = Promise.withResolvers<never>();
    const iterate = async (): Promise<void> => {
      for await (const lease of fila.leases(target.queue, { prefetch: credit, signal: drained.signal })) {
        lease.ack().then(() => {
          loop.ackedMore(1);
          if (loop.drained) drained.abort();
        }, failed.reject);
      }
    };
    await Promise.race([iterate(), failed.promise]);
  };
  await Promise.all([produceBySdk(fila, task, loop), consume()]);
  await fila.close();
}

/** Of what the worker may hold, so many handlers may run; the rest waits for them. */
const concurrency = 100;

/**
 * The producer is the generated client, as in the run that this is compared with: what differs is the worker. A worker
 * does not tell when an ack is answered; a message is counted when its handler returns, and in the end `stop` waits for
 * the answers, and the broker must hold nothing.
 */
async function throughWork({ target, frameSize, credit }: LifecycleTask, loop: Loop): Promise<void> {
  const fila = connect(target.url);
  const consume = async (): Promise<void> => {
    await loop.filled;
    const over = Promise.withResolvers<undefined>();
    const worker = fila.work(
      target.queue,
      async () => {
        loop.ackedMore(1);
        if (loop.drained) over.resolve(undefined);
      },
      { concurrency, prefetch: credit - concurrency, onError: over.reject },
    );
    worker.finished.catch(over.reject);
    await over.promise;
    await worker.stop();
  };
  await Promise.all([produce(generatedEnqueueClient(target), loop, frameSize), consume()]);
  await fila.close();
}

await doTask(async (task: LifecycleTask) => {
  const loop = new Loop(task);
  const { target, frameSize, credit } = task;
  const { url, queue } = target;
  if (task.client === "sdk") await throughLeases(task, loop);
  else if (task.client === "work") await throughWork(task, loop);
  else if (task.client === "bytes")
    await Promise.all([
      produce(bytesEnqueueClient(target), loop, frameSize),
      consume(bytesLeaseClient(url, queue), loop, credit),
    ]);
  else
    await Promise.all([
      produce(generatedEnqueueClient(target), loop, frameSize),
      consume(generatedLeaseClient(url, queue), loop, credit),
    ]);
  return loop.result();
});
