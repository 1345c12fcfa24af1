// A message that nobody leased, for people and for programs.
import type { StoredMessage, StoredMessageWithPayload } from "@fila/sdk/admin";
import type { List } from "./list-output.ts";
import { encoded } from "./message-line.ts";
import { cut, printable, printableText } from "./printable.ts";
import { exactSpan, roughSpan } from "./spans.ts";
import type { Column, Row } from "./table.ts";

/** Characters of a payload that a list shows. */
const previewLength = 200;

const messageColumns: readonly Column[] = [
  { heading: "ID" },
  { heading: "STATE" },
  { heading: "KEY", flexible: true },
  { heading: "ATTEMPTS", right: true },
  { heading: "AGE", right: true },
];

/** Messages of a queue, as lists show them. */
export function messageList(
  queue: string,
  items: AsyncIterable<StoredMessage>,
  limit: number,
  now: number,
): List<StoredMessage> {
  return {
    ...{ items, limit, columns: messageColumns, object: messageObject },
    row: (message) => messageRow(message, now),
    none: `Queue "${queue}" has no such message.`,
  };
}

function messageRow(message: StoredMessage, now: number): Row {
  const { id, state, fairnessKey, attempt, enqueuedAt } = message;
  const below = [detail(message, now), "payload" in message ? preview(message as StoredMessageWithPayload) : ""];
  return {
    cells: [id, state, fairnessKey, String(attempt), roughSpan(now - enqueuedAt.getTime())],
    below: below.filter((line) => line !== ""),
  };
}

/** The payload as `fila consume --json` has it. */
export function messageObject(message: StoredMessage): object {
  if (!("payload" in message)) return message;
  const { payload, ...rest } = message as StoredMessageWithPayload;
  return { ...rest, ...encoded(payload) };
}

/** All of it. */
export function describeMessage(message: StoredMessageWithPayload, now: number): string[] {
  const { enqueuedAt, expiresAt, failure, headers, payload, throttleKeys } = message;
  const { payload: text, encoding } = encoded(payload);
  const time = (at: Date): string => `${at.toISOString()} (${span(at.getTime() - now)})`;
  const bytes = `${payload.length} byte(s)`;
  return [
    `Message: ${message.id}`,
    `Queue: ${printable(message.queue)}`,
    `State: ${message.state}${brackets(detailOfState(message, now))}`,
    `Fairness key: ${printable(message.fairnessKey)} (weight ${message.weight})`,
    `Cost: ${message.cost}`,
    ...(throttleKeys.length > 0 ? [`Throttle keys: ${throttleKeys.map(printable).join(", ")}`] : []),
    `Attempts: ${message.attempt}`,
    `Enqueued: ${time(enqueuedAt)}`,
    ...(expiresAt === undefined ? [] : [`Expires: ${time(expiresAt)}`]),
    ...(failure === undefined
      ? []
      : [
          `Dead letter of: ${printable(failure.sourceQueue)}`,
          `Reason: ${failure.reason}`,
          `Last error: ${printable(failure.lastError)}`,
          `First failed: ${time(failure.firstFailedAt)}`,
          `Last failed: ${time(failure.lastFailedAt)}`,
        ]),
    ...Object.entries(headers).map(([name, value]) => `Header ${printable(name)}: ${printable(value)}`),
    ...(encoding === "utf8"
      ? [`Payload: ${bytes}`, printableText(text)]
      : [`Payload: ${bytes}, no text; --payload writes them as they are`]),
  ];
}

function detail(message: StoredMessage, now: number): string {
  const { failure } = message;
  const failed = failure === undefined ? "" : `${failure.reason}: ${failure.lastError}`;
  return [detailOfState(message, now), failed].filter((part) => part !== "").join("; ");
}

function detailOfState({ state, dueAt, lease }: StoredMessage, now: number): string {
  if (state === "delayed" && dueAt !== undefined) return `due ${span(dueAt.getTime() - now)}`;
  if (lease === undefined) return "";
  const who = lease.workerId === "" ? "a worker without a name" : `worker ${JSON.stringify(lease.workerId)}`;
  return `held by ${who}; the lease ends ${span(lease.expiresAt.getTime() - now)}`;
}

function preview({ payload }: StoredMessageWithPayload): string {
  const { payload: text, encoding } = encoded(payload.subarray(0, 4 * previewLength));
  if (encoding === "utf8") return cut(text, previewLength);
  // The cut may have gone through a character.
  return encoded(payload).encoding === "utf8"
    ? cut(encoded(payload).payload, previewLength)
    : `(${payload.length} byte(s), no text)`;
}

function span(ms: number): string {
  if (ms <= 0) return ms > -1000 ? "now" : `${roughSpan(-ms)} ago`;
  return `in ${ms < 1000 ? exactSpan(Math.ceil(ms)) : roughSpan(ms)}`;
}

function brackets(text: string): string {
  return text === "" ? "" : ` (${text})`;
}
