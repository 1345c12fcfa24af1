import type { SettleOutcome } from "../../core/effects.ts";
import { PollSession } from "../../delivery/poll-session.ts";
import { outcomesOf } from "../../delivery/partial-frame.ts";
import { permittedCall, permittedItems } from "../access/permitted.ts";
import { deliveriesBytes, writeLeasedMessage } from "../wire/delivery-wire.ts";
import { splitBatchEnqueue, writeEnqueueResults } from "../wire/enqueue-frame.ts";
import { isItem, parseEnqueueRequest } from "../wire/enqueue-wire.ts";
import { readAckOrNack, readLease, readSettle } from "../wire/request-wire.ts";
import { writeSettleResults } from "../wire/settle-wire.ts";
import { WireWriter } from "../wire/wire-writer.ts";
import type { UnaryMethod, UnaryReply } from "./call.ts";

// Answers are written one after the other and taken at once, so one writer serves all.
const out = new WireWriter();

/** An envelope around nothing: the answer of Ack and Nack. */
const emptyAnswer = Buffer.alloc(5);

const enqueue: UnaryMethod = ({ broker, messageLimits }, request, caller, reply) => {
  const item = permittedCall(parseEnqueueRequest(request, "", messageLimits), caller);
  if (!isItem(item)) {
    reply.failure(item);
    return undefined;
  }
  broker.enqueue([item], (outcomes) => {
    const outcome = "reason" in outcomes ? outcomes : outcomes[0]!;
    if (typeof outcome === "object" && "reason" in outcome) return reply.failure(outcome);
    out.beginEnvelope();
    if (typeof outcome === "string") out.stringField(1, outcome);
    else {
      out.stringField(1, outcome.duplicateOf);
      out.uint32Field(16, 1);
    }
    out.finishEnvelope();
    reply.message(out.take());
  });
  return undefined;
};

const batchEnqueue: UnaryMethod = ({ broker, messageLimits }, request, caller, reply) => {
  const batch = permittedItems(splitBatchEnqueue(request, messageLimits), caller);
  if ("reason" in batch) {
    reply.failure(batch);
    return undefined;
  }
  const answer = (outcomes: Parameters<Parameters<typeof broker.enqueue>[1]>[0]): void => {
    out.beginEnvelope();
    writeEnqueueResults(out, 1, outcomesOf(batch, outcomes));
    out.finishEnvelope();
    reply.message(out.take());
  };
  if (batch.items.length === 0) answer([]);
  else broker.enqueue(batch.items, answer);
  return undefined;
};

function ackOrNack(action: "ack" | "nack"): UnaryMethod {
  return ({ broker }, request, caller, reply) => {
    const call = permittedCall(readAckOrNack(request, action), caller);
    if ("reason" in call) {
      reply.failure(call);
      return undefined;
    }
    broker.settle(call.queue, call.settlements.items, caller, (outcomes) => {
      const outcome = "reason" in outcomes ? outcomes : outcomes[0];
      if (typeof outcome === "object") reply.failure(outcome);
      else reply.message(emptyAnswer);
    });
    return undefined;
  };
}

const settle: UnaryMethod = ({ broker }, request, caller, reply) => {
  const call = permittedCall(readSettle(request), caller);
  if ("reason" in call) {
    reply.failure(call);
    return undefined;
  }
  const answer = (outcomes: Parameters<Parameters<typeof broker.settle>[3]>[0]): void => {
    out.beginEnvelope();
    writeSettleResults(out, 1, outcomesOf<SettleOutcome>(call.settlements, outcomes));
    out.finishEnvelope();
    reply.message(out.take());
  };
  if (call.settlements.items.length === 0) answer([]);
  else broker.settle(call.queue, call.settlements.items, caller, answer);
  return undefined;
};

const lease: UnaryMethod = ({ broker }, request, caller, reply) => {
  const call = permittedCall(readLease(request), caller);
  if ("reason" in call) {
    reply.failure(call);
    return undefined;
  }
  const session = new PollSession(
    call.waitMs,
    pollAnswer(reply, () => stopWatching()),
  );
  // A poll waits up to a minute: long enough for its permission to be taken away.
  const stopWatching = caller.watch(() => {
    const refused = caller.refusal(call.queue);
    if (refused !== undefined) session.ended(refused);
  });
  session.start(broker, {
    queue: call.queue,
    kind: "poll",
    connection: caller.connection,
    principal: caller.principal,
    worker: call.worker,
    session: "",
    visibilityMs: call.visibilityMs,
    credit: call.maxMessages,
  });
  return () => {
    stopWatching();
    session.gone();
  };
};

function pollAnswer(reply: UnaryReply, answered: () => void): ConstructorParameters<typeof PollSession>[1] {
  return {
    messages(deliveries, taken) {
      answered();
      out.reserve(deliveriesBytes(deliveries));
      out.beginEnvelope();
      for (const delivery of deliveries) writeLeasedMessage(out, 1, delivery);
      out.finishEnvelope();
      reply.message(out.take(), taken);
    },
    failure(failed) {
      answered();
      reply.failure(failed);
    },
  };
}

export const unaryMethods = {
  Enqueue: enqueue,
  BatchEnqueue: batchEnqueue,
  Ack: ackOrNack("ack"),
  Nack: ackOrNack("nack"),
  Settle: settle,
  Lease: lease,
} as const satisfies Record<string, UnaryMethod>;

export type UnaryMethodName = keyof typeof unaryMethods;
