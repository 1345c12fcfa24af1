// A broker over a gated store in memory and a clock that stands still, with calls that resolve with what came of them.
import { createHash } from "node:crypto";
import type { EnqueueItem, IdempotencyKey, SettleItem } from "../../core/commands.ts";
import type { EnqueueOutcome, SettleOutcome } from "../../core/effects.ts";
import type { Hooks } from "../../hooks/port.ts";
import type { Storage } from "../../storage/port.ts";
import type { Broker, LoadedDelivery, Outcome } from "../contract.ts";
import { openBroker } from "../open-broker.ts";
import { GatedStorage } from "./gated-storage.ts";
import { Listener } from "./listener.ts";
import { ManualClock } from "./manual-clock.ts";

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
const who = { connection: 1, principal: "anonymous" };

export interface RigOptions {
  readonly storage?: GatedStorage;
  readonly clock?: ManualClock;
  readonly payloadCacheBytes?: number;
  readonly hooks?: Hooks;
  readonly checkpointJournalBytes?: number;
  /** Default: the store's own. */
  readonly open?: () => Promise<Storage>;
}

export class BrokerRig {
  readonly broker: Broker;
  readonly storage: GatedStorage;
  readonly clock: ManualClock;

  private constructor(broker: Broker, storage: GatedStorage, clock: ManualClock) {
    this.broker = broker;
    this.storage = storage;
    this.clock = clock;
  }

  static async open(options: RigOptions = {}): Promise<BrokerRig> {
    const { storage = new GatedStorage(), clock = new ManualClock(), payloadCacheBytes = 1 << 26 } = options;
    const broker = await openBroker({
      open: options.open ?? storage.open,
      log: silent,
      clock,
      payloadCacheBytes,
      hooks: options.hooks,
      ...(options.checkpointJournalBytes === undefined
        ? {}
        : { checkpointJournalBytes: options.checkpointJournalBytes }),
      fatal: (error) => {
        throw error;
      },
    });
    return new BrokerRig(broker, storage, clock);
  }

  /** Rejects when the call as a whole fails. */
  enqueue(...items: readonly EnqueueItem[]): Promise<readonly EnqueueOutcome[]> {
    return new Promise((resolve, reject) =>
      this.broker.enqueue(items, (outcomes) =>
        "reason" in outcomes ? reject(new Error(outcomes.reason)) : resolve(outcomes),
      ),
    );
  }

  settle(queue: string, ...items: readonly SettleItem[]): Promise<readonly SettleOutcome[]> {
    return new Promise((resolve, reject) =>
      this.broker.settle(queue, items, who, (outcomes) =>
        "reason" in outcomes ? reject(new Error(outcomes.reason)) : resolve(outcomes),
      ),
    );
  }

  /** Leases what there is at this moment. */
  async lease(queue: string, most = 1_000): Promise<readonly LoadedDelivery[]> {
    const listener = new Listener();
    const options = { queue, kind: "poll", session: "", visibilityMs: 0, credit: most, worker: "w", ...who } as const;
    const poll = this.broker.openConsumer(options, listener);
    await listener.until(({ deliveries, isIdle, failure }) => deliveries.length > 0 || isIdle || failure !== undefined);
    poll.close(listener.deliveries.at(-1)?.ordinal ?? 0);
    return listener.deliveries;
  }

  /** Until the broker serves again after a rejected write. */
  async reopened(): Promise<void> {
    while (this.broker.state !== "serving") {
      await new Promise((resolve) => setImmediate(resolve));
      // Once for each time that it waits: tests compare times of day.
      if (this.clock.timers > 0) this.clock.advance(100);
    }
  }
}

export function itemOf(queue: string, text: string, more: Partial<EnqueueItem> = {}): EnqueueItem {
  return { queue, fairnessKey: "k", weight: 0, cost: 1, throttleKeys: [], body: bodyOf(text), ...more };
}

/** The payload as a field of Message. Below 128 bytes. */
export function bodyOf(text: string): Uint8Array {
  const payload = Buffer.from(text);
  if (payload.length > 127) throw new Error("too long for a test");
  return Buffer.concat([Buffer.of((3 << 3) | 2, payload.length), payload]);
}

export function keyOf(text: string): IdempotencyKey {
  const digest = createHash("sha256").update(text).digest();
  const [a, b, c, d] = [0, 4, 8, 12].map((at) => digest.readUInt32BE(at));
  return { a: a!, b: b!, c: c!, d: d!, text };
}

/** The text that the body was made of. */
export function textOf({ body }: Pick<LoadedDelivery, "body">): string {
  return Buffer.from(body.subarray(2)).toString();
}

export function settlement(
  { id, token }: Pick<LoadedDelivery, "id" | "token">,
  action: SettleItem["action"],
  more: Partial<SettleItem> = {},
): SettleItem {
  return { id, token, action, error: "", extendMs: 0, ...more };
}

/** The value of an outcome that must be one. */
export function valueOf<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(`${outcome.failure.reason}: ${outcome.failure.message}`);
  return outcome.value;
}
