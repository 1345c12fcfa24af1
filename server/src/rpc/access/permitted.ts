// Requests of FilaService, as read off the wire, on their way to the broker: only what the caller may ask for goes on.
import type { EnqueueItem } from "../../core/commands.ts";
import type { Failure } from "../../core/errors.ts";
import { PartialFrameBuilder } from "../../delivery/partial-frame.ts";
import type { PartialFrame } from "../../delivery/partial-frame.ts";
import type { Caller } from "./caller.ts";

/** The call, or why it goes no further. */
export function permittedCall<Call extends { readonly queue: string }>(
  call: Call | Failure,
  caller: Caller,
): Call | Failure {
  if (caller.unrestricted || "reason" in call) return call;
  return caller.refusal(call.queue) ?? call;
}

/** The frame without the messages to queues that the caller may not produce to: each may name one of its own, and gets
 * a result of its own. The same frame where nothing is refused. */
export function permittedItems<Frame extends PartialFrame<EnqueueItem>>(
  frame: Frame | Failure,
  caller: Caller,
): Frame | Failure {
  if (caller.unrestricted || "reason" in frame) return frame;
  return caller.revocation() ?? withoutRefused(frame, caller);
}

function withoutRefused<Frame extends PartialFrame<EnqueueItem>>(frame: Frame, caller: Caller): Frame {
  // Mostly all messages of a frame are for one queue.
  let queue: string | undefined;
  let refused: Failure | undefined;
  const refusalOf = (item: EnqueueItem): Failure | undefined => {
    if (item.queue !== queue) {
      queue = item.queue;
      refused = caller.refusal(queue);
    }
    return refused;
  };
  if (!frame.items.some((item) => refusalOf(item) !== undefined)) return frame;

  const permitted = new PartialFrameBuilder<EnqueueItem>();
  let next = 0;
  for (const before of frame.refused ?? frame.items.map(() => undefined)) {
    const item = before === undefined ? frame.items[next++]! : undefined;
    const why = item === undefined ? before : refusalOf(item);
    if (item !== undefined && why === undefined) permitted.accept(item);
    else permitted.refuse(why!);
  }
  return { ...frame, items: permitted.items, refused: permitted.refused };
}
