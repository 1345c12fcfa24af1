// Hooks without a broker: queues that are made by hand, and messages with headers.
import type { EnqueueItem } from "../../core/commands.ts";
import { type QueueSettings, defaultQueueSettings } from "../../core/queue-settings.ts";
import { type HooksOptions, openHooks } from "../open-hooks.ts";
import type { Hooks, Verdict } from "../port.ts";

export class HookRig {
  readonly hooks: Hooks;
  readonly warnings: string[] = [];
  #nextQueue = 1;

  constructor(options: HooksOptions = {}) {
    this.hooks = openHooks({ log: { warn: (message) => this.warnings.push(message) }, ...options });
    this.hooks.load([], new Map());
  }

  queue(name: string, settings: Partial<QueueSettings>): number {
    const number = this.#nextQueue;
    this.#nextQueue += 1;
    this.hooks.queueSet({ number, name, settings: { ...defaultQueueSettings, ...settings } });
    return number;
  }

  enqueue(queue: string, ...items: readonly EnqueueItem[]): Promise<readonly Verdict[]> {
    return new Promise((resolve) => this.hooks.enqueue(queue, items, resolve));
  }
}

/** Headers and payload as fields of Message. */
export function bodyOf(headers: Readonly<Record<string, string>>, payload = ""): Uint8Array {
  const field = (number: number, bytes: Uint8Array): Buffer =>
    Buffer.concat([Buffer.of((number << 3) | 2, bytes.length), bytes]);
  const entries = Object.entries(headers).map(([name, value]) =>
    field(2, Buffer.concat([field(1, Buffer.from(name)), field(2, Buffer.from(value))])),
  );
  return Buffer.concat([...entries, field(3, Buffer.from(payload))]);
}

export function messageTo(queue: string, headers: Readonly<Record<string, string>> = {}): EnqueueItem {
  return { queue, fairnessKey: "own", weight: 0, cost: 1, throttleKeys: [], body: bodyOf(headers) };
}

/** The fairness key of a message that is to be stored, or the reason of its refusal. */
export function keyOrReason(verdict: Verdict): string {
  return "reason" in verdict ? verdict.reason : verdict.fairnessKey;
}
