// Messages as operators look for them and see them.
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  MessageState as WireState,
  type FailureInfo,
  type MessageFilterSchema,
  type StoredMessage as WireMessage,
} from "../gen/index.ts";
import { checkCount, checkQueueName, invalidField } from "../limits.ts";
import type { AdminCalls } from "./calls.ts";
import { dateOf, known, knownDate, timestampOf } from "./wire-values.ts";

/**
 * "ready": may be delivered now. "leased": a worker has it. "delayed": waits for a time, or the end of a delay or backoff.
 * "deciding": its attempt has ended, and the queue's hook is asked what comes next. "unreadable": its bytes are damaged
 * on the disk; it is never delivered.
 */
export type MessageState = "ready" | "leased" | "delayed" | "deciding" | "unreadable";

/**
 * Why a message is a dead letter. "max_attempts": it failed as often as the queue allows. "rejected": a worker said so.
 * "hook": the queue's hook said so. "ttl": its time to live was over. "corrupt": its bytes are damaged on the disk.
 */
export type DeadLetterReason = "max_attempts" | "rejected" | "hook" | "ttl" | "corrupt";

/** Which messages are meant: those of which all holds that is given. */
export interface MessageFilter {
  /** In one of these states. */
  readonly states?: readonly MessageState[] | undefined;
  readonly fairnessKey?: string | undefined;
  /** With this header; with this value, if one is given. */
  readonly header?: { readonly name: string; readonly value?: string | undefined } | undefined;
  /** Later than that. */
  readonly enqueuedAfter?: Date | undefined;
  /** Earlier than that. */
  readonly enqueuedBefore?: Date | undefined;
  /** Dead letters: why they are. */
  readonly reason?: DeadLetterReason | undefined;
  /** Dead letters: a part of the last error. */
  readonly errorContains?: string | undefined;
  /** One of these; at most 1,000. */
  readonly ids?: readonly string[] | undefined;
}

export interface ListMessagesOptions {
  /** Default: every message. */
  readonly filter?: MessageFilter | undefined;
  /** Headers and payload come along. Default: false. */
  readonly withPayload?: boolean | undefined;
  /** At most so many messages. Default: all. */
  readonly limit?: number | undefined;
}

/** What a dead letter failed of. */
export interface Failure {
  readonly reason: DeadLetterReason;
  /** What the last attempt failed of; with the reasons "ttl" and "corrupt", that in words. */
  readonly lastError: string;
  /** End of the first attempt; that of no attempt, when it became a dead letter. */
  readonly firstFailedAt: Date;
  /** When it became a dead letter. */
  readonly lastFailedAt: Date;
  readonly sourceQueue: string;
}

/** A message that nobody leased for this. */
export interface StoredMessage {
  /** UUIDv7. */
  readonly id: string;
  readonly queue: string;
  /** "unknown": a newer broker has a state that this client does not know. */
  readonly state: MessageState | "unknown";
  readonly fairnessKey: string;
  /** The weight of that key now. */
  readonly weight: number;
  readonly cost: number;
  readonly throttleKeys: readonly string[];
  /** How many deliveries ended in a nack, an expiry or a died stream. */
  readonly attempt: number;
  readonly enqueuedAt: Date;
  /** Delayed: when it is due. */
  readonly dueAt: Date | undefined;
  /** When its time to live, or a dead letter's retention, is over. */
  readonly expiresAt: Date | undefined;
  /** Leased: by whom ("" when that has no name), until when. */
  readonly lease: { readonly workerId: string; readonly expiresAt: Date } | undefined;
  /** Dead letters: what it failed of. */
  readonly failure: Failure | undefined;
}

/** A message with what its producer gave. */
export interface StoredMessageWithPayload extends StoredMessage {
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array;
}

const wireStates: Readonly<Record<MessageState, WireState>> = {
  ready: WireState.READY,
  leased: WireState.LEASED,
  delayed: WireState.DELAYED,
  deciding: WireState.DECIDING,
  unreadable: WireState.UNREADABLE,
};
const stateNames = new Map(Object.entries(wireStates).map(([name, state]) => [state, name as MessageState]));

/** Messages of one answer, and ids of one question, at most. */
const maximumPage = 1000;

export async function* listMessages(
  calls: AdminCalls,
  queue: string,
  options: ListMessagesOptions,
): AsyncGenerator<StoredMessage | StoredMessageWithPayload, void, undefined> {
  checkQueueName(queue);
  const { filter = {}, withPayload = false, limit } = options;
  const wanted = messageFilter(filter);
  let left = limit === undefined ? Infinity : checkCount("limit", limit, 1, Number.MAX_SAFE_INTEGER);
  const pages = calls.pages((client, cursor, call) =>
    client.listMessages({ queue, filter: wanted, limit: Math.min(left, maximumPage), cursor, withPayload }, call),
  );
  for await (const { messages } of pages) {
    for (const message of messages) {
      yield withPayload ? storedMessageWithPayload(message) : storedMessage(message);
      if (--left === 0) return;
    }
  }
}

export async function messagesById(
  calls: AdminCalls,
  queue: string,
  ids: readonly string[],
): Promise<StoredMessageWithPayload[]> {
  checkQueueName(queue);
  const found: StoredMessageWithPayload[] = [];
  for (let at = 0; at < ids.length; at += maximumPage) {
    const filter = { ids: ids.slice(at, at + maximumPage) };
    for await (const message of listMessages(calls, queue, { filter, withPayload: true })) {
      found.push(message as StoredMessageWithPayload);
    }
  }
  return found;
}

/**
 * On the wire, what is empty does not matter: here it is refused, because a filter that happens to be empty must not mean
 * every message. Throws FilaError invalid_argument INVALID_FIELD.
 */
export function messageFilter(filter: MessageFilter): MessageInitShape<typeof MessageFilterSchema> {
  const { states, header, fairnessKey, enqueuedAfter, enqueuedBefore, reason, errorContains, ids } = filter;
  for (const [field, value] of Object.entries({ ...filter, header: header?.name, "header.value": header?.value })) {
    if (value === "" || (Array.isArray(value) && value.length === 0)) {
      throw invalidField(`filter.${field}`, "is empty; leave it out when it does not matter");
    }
  }
  return known({
    states: states?.map(wireState),
    fairnessKey,
    headerName: header?.name,
    headerValue: header?.value,
    enqueuedAfter: enqueuedAfter && timestampOf("filter.enqueuedAfter", enqueuedAfter),
    enqueuedBefore: enqueuedBefore && timestampOf("filter.enqueuedBefore", enqueuedBefore),
    reason,
    errorContains,
    messageIds: ids && [...ids],
  });
}

function wireState(state: MessageState): WireState {
  if (Object.hasOwn(wireStates, state)) return wireStates[state];
  const names = Object.keys(wireStates).join(", ");
  throw invalidField("filter.states", `holds ${JSON.stringify(state)}, which is no state; choose of ${names}`);
}

export function storedMessage(stored: WireMessage): StoredMessage {
  const { message, workerId, leaseExpiresAt, failure } = stored;
  const metadata = message?.metadata;
  return {
    id: message?.id ?? "",
    queue: metadata?.queueId ?? "",
    state: stateNames.get(stored.state) ?? "unknown",
    fairnessKey: metadata?.fairnessKey ?? "",
    weight: metadata?.weight ?? 0,
    cost: stored.cost,
    throttleKeys: metadata?.throttleKeys ?? [],
    attempt: metadata?.attemptCount ?? 0,
    enqueuedAt: knownDate(message?.timestamps?.enqueuedAt),
    dueAt: dateOf(stored.dueAt),
    expiresAt: dateOf(stored.expiresAt),
    lease: leaseExpiresAt && { workerId, expiresAt: knownDate(leaseExpiresAt) },
    failure: failure && failureOf(failure),
  };
}

export function storedMessageWithPayload(stored: WireMessage): StoredMessageWithPayload {
  const { headers = {}, payload = new Uint8Array(0) } = stored.message ?? {};
  return { ...storedMessage(stored), headers, payload };
}

export function failureOf({ reason, lastError, firstFailedAt, lastFailedAt, sourceQueue }: FailureInfo): Failure {
  return {
    reason: reason as DeadLetterReason,
    lastError,
    firstFailedAt: knownDate(firstFailedAt),
    lastFailedAt: knownDate(lastFailedAt),
    sourceQueue,
  };
}
