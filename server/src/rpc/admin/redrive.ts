// FilaAdmin: redriving dead letters.
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { RedriveMessagesRequest, RedriveMessagesResponseSchema } from "@fila/sdk/gen";
import type { Operations, RedriveOrder, RedriveProgress } from "../../broker/operations-contract.ts";
import type { Outcome } from "../../broker/contract.ts";
import { callerKey } from "../access/caller.ts";
import { connectError } from "../connect-error.ts";
import { type AdminMethods, checkName, valueOf } from "./answers.ts";
import { searchFilter } from "./message-filter.ts";
import { StreamAccess } from "./stream-access.ts";

type Response = MessageInitShape<typeof RedriveMessagesResponseSchema>;

export function redriveMethods(operations: Operations): AdminMethods<"redrive" | "redriveMessages"> {
  return {
    async redrive({ dlqQueue, count }, { signal }) {
      checkName(dlqQueue, "dlq_queue");
      const order = { queue: dlqQueue, filter: {}, count: Number(count), dryRun: false, ratePerSecond: 0 };
      const { redriven } = valueOf(await operations.redrive(order, () => undefined, signal));
      return { redriven: BigInt(redriven) };
    },

    async *redriveMessages(request, { signal, values }) {
      const order = orderOf(request);
      const access = new StreamAccess(values.get(callerKey), request, signal);
      try {
        yield* progressOf(operations, order, access);
      } finally {
        access.end();
      }
    },
  };
}

function orderOf({ dlqQueue, count, filter, dryRun, ratePerSecond }: RedriveMessagesRequest): RedriveOrder {
  checkName(dlqQueue, "dlq_queue");
  return { queue: dlqQueue, filter: searchFilter(filter), count: Number(count), dryRun, ratePerSecond };
}

/** Progress that comes faster than the client reads is joined: it learns the last one, and nothing piles up. */
async function* progressOf(
  operations: Operations,
  order: RedriveOrder,
  access: StreamAccess,
): AsyncGenerator<Response> {
  let news = Promise.withResolvers<unknown>();
  let latest: RedriveProgress = { redriven: 0, examined: 0 };
  let result: Outcome<RedriveProgress> | undefined;
  const tell = (progress: RedriveProgress): void => {
    latest = progress;
    news.resolve(undefined);
  };
  const run = operations.redrive(order, tell, access.signal).then((outcome) => {
    result = outcome;
    news.resolve(undefined);
  });
  // So that an end that nobody waits for any more is not an unhandled rejection.
  run.catch(() => news.resolve(undefined));
  // What is refused is refused at once: nothing is told before the run has begun.
  for (;;) {
    await news.promise;
    news = Promise.withResolvers<unknown>();
    if (result !== undefined) break;
    if (access.refused !== undefined) throw connectError(access.refused);
    if (access.signal.aborted) return run;
    yield response(latest, false);
  }
  yield response(valueOf(result), true);
}

function response({ redriven, examined }: RedriveProgress, done: boolean): Response {
  return { redriven: BigInt(redriven), examined: BigInt(examined), done };
}
