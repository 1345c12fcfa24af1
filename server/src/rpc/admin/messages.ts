// FilaAdmin: single messages, and why they wait.
import { toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { MessageFilterSchema } from "@fila/sdk/gen";
import type { ExplainResponseSchema, ListMessagesRequest } from "@fila/sdk/gen";
import type { ExplainSubject, Explained, Operations } from "../../broker/operations-contract.ts";
import { type AdminMethods, checkFairnessKey, checkName, invalidField, pageLimit, valueOf } from "./answers.ts";
import { readCursor, writeCursor } from "./cursor.ts";
import { searchFilter } from "./message-filter.ts";
import { failureInfo, storedMessage } from "./stored-message.ts";

type Names = "listMessages" | "getMessage" | "cancelMessage" | "explain";

export function messageMethods(operations: Operations): AdminMethods<Names> {
  return {
    async listMessages(request, { signal }) {
      const { queue, filter, limit, cursor, withPayload } = request;
      checkName(queue, "queue");
      const scope = scopeOf(request);
      const place = readCursor(scope, cursor, 3);
      const after = place && { enqueuedAt: place[0]!, queueNumber: place[1]!, sequence: place[2]! };
      const query = {
        queue,
        filter: searchFilter(filter),
        after,
        limit: pageLimit(limit, 100, 1_000),
        withBodies: withPayload,
      };
      const { messages, next } = valueOf(await operations.listMessages(query, signal));
      return {
        messages: messages.map(storedMessage),
        nextCursor: next === undefined ? "" : writeCursor(scope, [next.enqueuedAt, next.queueNumber, next.sequence]),
      };
    },

    async getMessage({ queue, messageId }) {
      checkName(queue, "queue");
      return { message: storedMessage(valueOf(await operations.getMessage(queue, messageId))) };
    },

    async cancelMessage({ queue, messageId }) {
      checkName(queue, "queue");
      valueOf(await operations.cancelMessage(queue, messageId));
      return {};
    },

    async explain({ queue, about }) {
      checkName(queue, "queue");
      let subject: ExplainSubject;
      if (about.case === "messageId") subject = { id: about.value };
      else if (about.case === "fairnessKey") {
        checkFairnessKey(about.value);
        subject = { fairnessKey: about.value };
      } else throw invalidField("message_id", "is missing; name a message_id or a fairness_key");
      return explainResponse(valueOf(await operations.explain(queue, subject)));
    },
  };
}

/** What the pages are of. */
function scopeOf({ queue, filter }: ListMessagesRequest): string {
  const bytes = filter === undefined ? new Uint8Array() : toBinary(MessageFilterSchema, filter);
  return `messages of ${queue}\n${Buffer.from(bytes).toString("base64")}`;
}

function explainResponse({ explanation, failure, text }: Explained): MessageInitShape<typeof ExplainResponseSchema> {
  return { reason: reasonOf(explanation, failure), text };
}

function reasonOf(
  explanation: Explained["explanation"],
  failure: Explained["failure"],
): NonNullable<MessageInitShape<typeof ExplainResponseSchema>["reason"]> {
  switch (explanation.why) {
    case "unknown":
      return { case: "unknown", value: {} };
    case "dead-lettered": {
      const { queue } = explanation;
      return {
        case: "deadLettered",
        value: failure === undefined ? { queue } : { queue, failure: failureInfo(failure) },
      };
    }
    case "unreadable":
      return { case: "unreadable", value: {} };
    case "leased": {
      const { worker, until, attempt } = explanation;
      return { case: "leased", value: { workerId: worker, until: timestampFromMs(until), attempt } };
    }
    case "deciding":
      return { case: "deciding", value: { attempt: explanation.attempt } };
    case "delayed":
      return { case: "delayed", value: { until: timestampFromMs(explanation.until) } };
    case "queue-paused":
      return { case: "queuePaused", value: {} };
    case "key-paused":
      return { case: "keyPaused", value: { fairnessKey: explanation.fairnessKey } };
    case "throttled": {
      const { throttleKey, tokens, rate, burst, place, nextAt } = explanation;
      const next = nextAt === undefined ? {} : { nextAt: timestampFromMs(nextAt) };
      const numbers = { tokens, ratePerSecond: rate, burst, placeInLine: BigInt(place) };
      return { case: "throttled", value: { throttleKey, ...numbers, ...next } };
    }
    case "concurrency-full": {
      const { cap, fairnessKey = "", workers } = explanation;
      return { case: "concurrencyFull", value: { cap, fairnessKey, workerIds: [...workers] } };
    }
    case "no-consumer":
      return { case: "noConsumer", value: {} };
    case "no-credit": {
      const { consumers, because } = explanation;
      const { credit: withoutCredit = 0, unsettled: full = 0, unwritten: notReading = 0, stopped = 0 } = because;
      return { case: "noCredit", value: { consumers, withoutCredit, full, notReading, stopped } };
    }
    case "not-its-turn": {
      const { messagesAhead, keysAhead, deliveriesAhead, atLeast } = explanation;
      const numbers = {
        messagesAhead: BigInt(messagesAhead),
        keysAhead: BigInt(keysAhead),
        deliveriesAhead: BigInt(deliveriesAhead),
      };
      return { case: "notItsTurn", value: { ...numbers, atLeast } };
    }
  }
}
