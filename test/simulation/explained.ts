// Whether the core explains a message by what the model knows of it.
import type { Core } from "../../server/src/core/core.ts";
import { explain, type Explanation } from "../../server/src/core/explain.ts";
import { expect } from "./failure.ts";
import { contains } from "./model-clock.ts";
import { isFull, isKeyFull } from "./model-throttles.ts";
import type { Model } from "./model.ts";
import type { ModelMessage } from "./model-state.ts";

type Why = Explanation["why"];

/** Of what may be delivered as far as the message goes, and nobody has paused it. */
const ofReady: readonly Why[] = ["no-consumer", "no-credit", "not-its-turn"];

/** @param draw which message it is about */
export function checkExplained(model: Model, core: Core, draw: number): void {
  const queues = [...model.queuesByName.values()].filter(({ messages }) => messages.size > 0);
  const queue = queues[draw % queues.length];
  if (queue === undefined) return;
  const message = [...queue.messages][draw % queue.messages.size]!;
  const slot = core.state.index.get(message.origin, message.sequence);
  const found = explain(core, slot, core.state.queuesByName.get(queue.name)!);
  const wanted = reasonsOf(model, message);
  expect(wanted.includes(found.why), () => `${message.name}: ${found.why} is told, not ${wanted.join(" or ")}`);
  if (found.why === "delayed") {
    const { waits } = message;
    expect(
      waits !== undefined && contains(waits, found.until),
      () => `${message.name} is said to wait until ${found.until}`,
    );
  } else if (found.why === "leased" || found.why === "deciding") {
    expect(found.attempt === message.attempts, () => `${message.name} is said to be at attempt ${found.attempt}`);
  } else if (found.why === "no-consumer") {
    expect(queue.consumers.size === 0, () => `${message.name} is said to have no consumer`);
  }
}

/** It may be one of them. */
function reasonsOf(model: Model, message: ModelMessage): readonly Why[] {
  const { quarantined, lease, deciding, waits, woken, queue, key } = message;
  if (quarantined) return ["unreadable"];
  if (lease !== undefined) return ["leased"];
  if (deciding !== undefined) return ["deciding"];
  const ready: Why[] = [];
  if (queue.settings.paused) ready.push("queue-paused");
  else if (key.paused) ready.push("key-paused");
  else {
    if (model.throttles.concern(message)) ready.push("throttled");
    if (isFull(queue) || isKeyFull(queue, key, model.leasedOf(key))) ready.push("concurrency-full");
    else ready.push(...ofReady);
  }
  if (waits === undefined || woken === "yes") return ready;
  return woken === "no" ? ["delayed"] : ["delayed", ...ready];
}
