// MessageFilter: what it says, and what it may not say.
import { fromBinary } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { MessageSchema, MessageState } from "@fila/sdk/gen";
import type { MessageFilter } from "@fila/sdk/gen";
import type { SearchFilter } from "../../broker/operations-contract.ts";
import type { StateName } from "../../core/message-view.ts";
import type { DeadLetterReason } from "../../core/retry-policy.ts";
import { timestampMs } from "../wire/timestamp.ts";
import { checkFairnessKey, invalidField } from "./answers.ts";

const maxIds = 1_000;

const stateNames: Readonly<Record<number, readonly StateName[]>> = {
  [MessageState.READY]: ["ready"],
  [MessageState.LEASED]: ["leased"],
  [MessageState.DELAYED]: ["delayed", "scheduled"],
  [MessageState.DECIDING]: ["deciding"],
  [MessageState.UNREADABLE]: ["quarantined"],
};

const reasons: Readonly<Record<DeadLetterReason, true>> = {
  max_attempts: true,
  rejected: true,
  hook: true,
  ttl: true,
  corrupt: true,
};

/** What is empty or absent does not matter. Throws for what cannot be meant. */
export function searchFilter(filter: MessageFilter | undefined): SearchFilter {
  if (filter === undefined) return {};
  const { fairnessKey, headerName, headerValue, reason, errorContains, messageIds } = filter;
  if (fairnessKey !== "") checkFairnessKey(fairnessKey, "filter.fairness_key");
  if (headerName === "" && headerValue !== "") {
    throw invalidField("filter.header_value", "stands without header_name; name the header");
  }
  if (messageIds.length > maxIds) {
    throw invalidField("filter.message_ids", `has ${messageIds.length} ids; give at most ${maxIds}`);
  }
  return {
    states: statesOf(filter.states),
    fairnessKey: fairnessKey === "" ? undefined : fairnessKey,
    // Messages have whole milliseconds: both ends stay outside.
    enqueuedAfter: moment("filter.enqueued_after", filter.enqueuedAfter, Math.floor),
    enqueuedBefore: moment("filter.enqueued_before", filter.enqueuedBefore, Math.ceil),
    reason: reason === "" ? undefined : reasonOf(reason),
    errorContains: errorContains === "" ? undefined : errorContains,
    ids: messageIds.length === 0 ? undefined : messageIds,
    body: headerName === "" ? undefined : (body) => hasHeader(body, headerName, headerValue),
  };
}

function statesOf(states: readonly MessageState[]): StateName[] | undefined {
  if (states.length === 0) return undefined;
  return [...new Set(states)].flatMap((state) => {
    const names = stateNames[state];
    if (names === undefined) throw invalidField("filter.states", `holds ${state as number}, which is no state`);
    return names;
  });
}

function moment(field: string, at: Timestamp | undefined, round: (ms: number) => number): number | undefined {
  if (at === undefined) return undefined;
  const ms = timestampMs(at.seconds, at.nanos, round);
  if (Number.isNaN(ms)) throw invalidField(field, "is no valid timestamp; give one of the years 1 to 9999");
  return ms;
}

function reasonOf(reason: string): DeadLetterReason {
  if (Object.hasOwn(reasons, reason)) return reason as DeadLetterReason;
  throw invalidField("filter.reason", `is no reason; choose one of ${Object.keys(reasons).join(", ")}`);
}

/** @param value "" = any */
function hasHeader(body: Uint8Array, name: string, value: string): boolean {
  const { headers } = fromBinary(MessageSchema, body);
  return Object.hasOwn(headers, name) && (value === "" || headers[name] === value);
}
