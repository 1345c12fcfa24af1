// What becomes of a message once its script was asked, or could not be.
import type { EnqueueItem } from "../core/commands.ts";
import { type Failure, failure } from "../core/errors.ts";
import type { HookAnswer } from "../core/retry-policy.ts";
import { type Results, actions, column } from "./protocol.ts";
import type { HookSlot } from "./slot.ts";

/** The item for the queue that was asked, as the request has it. */
export function unchanged(item: EnqueueItem, queueNumber: number): EnqueueItem {
  return { ...item, queueNumber };
}

/** The item with what the script has named, field by field. @param at where the row begins */
export function decidedItem(item: EnqueueItem, queueNumber: number, results: Results, at: number): EnqueueItem {
  const { rows, strings, sets } = results;
  const fairnessKey = rows[at + column.fairnessKey] as number;
  const weight = rows[at + column.weight] as number;
  const cost = rows[at + column.cost] as number;
  const throttleKeys = rows[at + column.throttleKeys] as number;
  const delayMs = rows[at + column.delayMs] as number;
  return {
    queue: item.queue,
    queueNumber,
    fairnessKey: fairnessKey < 0 ? item.fairnessKey : (strings[fairnessKey] as string),
    weight: weight < 0 ? item.weight : weight,
    cost: cost < 0 ? item.cost : cost,
    throttleKeys: throttleKeys < 0 ? item.throttleKeys : (sets[throttleKeys] as readonly string[]),
    // A delay that the script names wins over a time of day that the request names.
    delayMs: delayMs < 0 ? (item.delayMs ?? 0) : delayMs,
    deliverAt: delayMs < 0 ? (item.deliverAt ?? 0) : 0,
    ttlMs: item.ttlMs ?? 0,
    idempotencyKey: item.idempotencyKey,
    body: item.body,
  };
}

const policy: HookAnswer = { type: "policy" };

/** What the script said about an ended attempt. @param at where the row begins */
export function decidedAnswer({ rows }: Results, at: number): HookAnswer {
  const action = actions[rows[at + column.action] as number];
  const delayMs = rows[at + column.delayMs] as number;
  if (action === undefined) return policy;
  if (action === "dlq") return { type: "dead-letter", reason: "hook" };
  return delayMs < 0 ? { type: "backoff" } : { type: "retry", delayMs };
}

/** The queue refuses what its script cannot decide. */
export function refused({ queue, lastFailure: last, breaker }: HookSlot): Failure {
  const why =
    last === undefined
      ? "it is not called at this moment"
      : `${last.reason}${lineOf(last)}: ${JSON.stringify(last.message)}`;
  const count = breaker.failures > 1 ? ` ${breaker.failures} times in a row` : "";
  return failure(
    "HOOK_FAILED",
    `the on_enqueue script of queue "${queue}" failed${count} (${why}); correct it with UpdateQueue or "fila hook set ${queue} on_enqueue"`,
    { metadata: { queue, ...(last !== undefined && { script_error: last.reason, line: String(last.line) }) } },
  );
}

function lineOf({ line }: { readonly line: number }): string {
  return line === 0 ? "" : ` in line ${line}`;
}

export function tooManyWait(queue: string): Failure {
  return failure(
    "HOOK_OVERLOADED",
    `too many messages wait for the on_enqueue script of queue "${queue}"; slow down, and make the script cheaper`,
    { metadata: { queue }, retryAfterMs: 100 },
  );
}
