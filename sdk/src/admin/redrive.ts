// Dead letters on their way back.
import { FilaError } from "../errors.ts";
import { checkCount, checkQueueName } from "../limits.ts";
import type { AdminCalls } from "./calls.ts";
import { messageFilter, type MessageFilter } from "./messages.ts";

export interface RedriveOptions {
  /** Default: every dead letter. */
  readonly filter?: MessageFilter | undefined;
  /** At most so many, the oldest first; from 1. Default: all that the filter leaves. */
  readonly count?: number | undefined;
  /** Only counts. Default: false. */
  readonly dryRun?: boolean | undefined;
  /** Messages per second at most, from 1. Default: as fast as it goes. */
  readonly ratePerSecond?: number | undefined;
  /** Stops it: what was moved stays moved. The iteration throws its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** How far a redrive is. */
export interface RedriveProgress {
  /** Moved so far; of a dry run, counted. */
  readonly redriven: number;
  /** Looked at so far. */
  readonly examined: number;
  /** The last one: these numbers are the result. */
  readonly done: boolean;
}

export async function* redrive(
  calls: AdminCalls,
  queue: string,
  options: RedriveOptions,
): AsyncGenerator<RedriveProgress, void, undefined> {
  checkQueueName(queue);
  const { filter = {}, count, dryRun = false, ratePerSecond, signal } = options;
  const request = {
    dlqQueue: queue,
    filter: messageFilter(filter),
    count: BigInt(count === undefined ? 0 : checkCount("count", count, 1, Number.MAX_SAFE_INTEGER)),
    dryRun,
    ratePerSecond: ratePerSecond === undefined ? 0 : checkCount("ratePerSecond", ratePerSecond, 1, 0xffff_ffff),
  };
  let finished = false;
  for await (const told of calls.stream((client, call) => client.redriveMessages(request, call), signal)) {
    finished = told.done;
    yield { redriven: Number(told.redriven), examined: Number(told.examined), done: told.done };
  }
  if (!finished) {
    const message = "the server ended the redrive before it was done; do it again for the rest";
    throw new FilaError("unavailable", "CONNECTION_LOST", message);
  }
}
