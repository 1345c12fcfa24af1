// When do messages that are due become ready? The broker's own turn loop over its real store, with nobody at the door: who
// asked the broker from outside would wake it up by asking. A message counts as ready when the turn that woke it is
// released, by the broker's own clocks: the monotonic one for delays, the wall clock for times of day.
import { systemClock } from "../../server/src/broker/clock.ts";
import type { TurnOutput } from "../../server/src/broker/engine.ts";
import { Mailbox } from "../../server/src/broker/mailbox.ts";
import { openLife } from "../../server/src/broker/store.ts";
import type { Life } from "../../server/src/broker/store.ts";
import { TurnLoop } from "../../server/src/broker/turn-loop.ts";
import type { Command, EnqueueItem } from "../../server/src/core/commands.ts";
import { defaultLimits } from "../../server/src/core/limits.ts";
import { defaultQueueSettings } from "../../server/src/core/queue-settings.ts";
import type { SlotHeap } from "../../server/src/core/slot-heap.ts";
import { defaultCheckpointOptions } from "../../server/src/storage/journal/checkpoint.ts";
import { openLevelStorage } from "../../server/src/storage/level/open.ts";
import { enqueueBody } from "./load/wire-bytes.ts";
import { latenessOf } from "./lateness.ts";
import type { Lateness } from "./lateness.ts";
import { cycle, makePayloads } from "./payloads.ts";
import { waitedForProcessorMs } from "./process-cost.ts";
import { doTask } from "./program-task.ts";

export interface WakingTask {
  readonly dataDir: string;
  /** Half of them wait for the end of a delay, the other half for a time of day. */
  readonly messages: number;
  /** The first is due this long after the beginning, when all must be stored. */
  readonly leadMs: number;
  /** They are due at even distances within this time. */
  readonly withinMs: number;
  /** So many more are due within the second before, at even distances too, and do not count: they warm up. */
  readonly warmUp: number;
}

export interface WakingResult {
  readonly delays: Lateness;
  readonly times: Lateness;
}

const frame = 1_000;

/** Messages of one heap: how late each left it. */
class Waking {
  /** Of those that were due in the warm-up first. */
  readonly #latenessMs: number[] = [];
  readonly #heap: SlotHeap;
  readonly #dues: Float64Array;
  readonly #now: () => number;
  readonly #warmUp: number;

  /**
   * @param now the clock that the heap goes by
   * @param warmUp so many do not count
   */
  constructor(heap: SlotHeap, dueOf: (slot: number) => number, now: () => number, warmUp: number) {
    this.#heap = heap;
    this.#warmUp = warmUp;
    this.#dues = Float64Array.from(heap.all(), dueOf).sort();
    this.#now = now;
  }

  get warm(): boolean {
    return this.#latenessMs.length >= this.#warmUp;
  }

  get over(): boolean {
    return this.#latenessMs.length === this.#dues.length;
  }

  get latenessMs(): readonly number[] {
    return this.#latenessMs.slice(this.#warmUp);
  }

  /** Whoever left since the last look was due first. */
  look(): void {
    const gone = this.#dues.length - this.#heap.size;
    const now = this.#now();
    while (this.#latenessMs.length < gone) this.#latenessMs.push(now - this.#dues[this.#latenessMs.length]!);
  }
}

function itemsOf({ messages, leadMs, withinMs, warmUp }: WakingTask): () => EnqueueItem[] {
  const body = cycle(makePayloads().map((payload) => enqueueBody({ payload })));
  const first = { mono: systemClock.mono() + leadMs, wall: systemClock.wall() + leadMs };
  let made = -warmUp;
  return () =>
    Array.from({ length: Math.min(frame, messages - made) }, (): EnqueueItem => {
      const after = made < 0 ? (made * 1_000) / warmUp : (made * withinMs) / messages;
      const due =
        made % 2 === 0
          ? { delayMs: Math.ceil(first.mono + after - systemClock.mono()) }
          : { deliverAt: Math.ceil(first.wall + after) };
      made += 1;
      return { queue: "q", fairnessKey: "", weight: 0, cost: 1, throttleKeys: [], body: body(), ...due };
    });
}

async function openStore(dataDir: string): Promise<Life> {
  const options = { limits: defaultLimits, checkpoint: defaultCheckpointOptions, payloadCacheBytes: 0 };
  return openLife(() => openLevelStorage(dataDir), options, systemClock);
}

await doTask(async (task: WakingTask): Promise<WakingResult> => {
  const life = await openStore(task.dataDir);
  const { core } = life.engine;
  const mailbox = new Mailbox();
  const failed = Promise.withResolvers<never>();
  let released: (output: TurnOutput) => void = () => undefined;
  const loop = new TurnLoop(life, mailbox, systemClock, {
    release: (output) => released(output),
    failed: failed.reject,
  });
  const done = (command: Command): Promise<unknown> => {
    const answered = new Promise<void>((resolve) => {
      released = ({ effects }) => {
        if (effects.some((effect) => "request" in effect)) resolve();
      };
    });
    mailbox.add(command);
    loop.wake();
    return Promise.race([answered, failed.promise]);
  };
  await done({ type: "create-queue", request: 1, name: "q", settings: defaultQueueSettings });
  const next = itemsOf(task);
  for (let items = next(); items.length > 0; items = next()) await done({ type: "enqueue", request: 1, items });

  const { delayed, scheduled, table } = core.state;
  if (delayed.size + scheduled.size !== task.messages + task.warmUp)
    throw new Error("some were due before all were stored");
  const lead = core.startClock({ mono: systemClock.mono(), wall: systemClock.wall() });
  const readyAt = (slot: number): number => table.readyAt(slot);
  const delays = new Waking(delayed, readyAt, () => systemClock.mono() + lead, task.warmUp / 2);
  const times = new Waking(scheduled, readyAt, () => systemClock.wall(), task.warmUp / 2);
  const over = new Promise<number>((resolve) => {
    let waitedBefore: number | undefined;
    released = () => {
      delays.look();
      times.look();
      if (!delays.warm || !times.warm) return;
      waitedBefore ??= waitedForProcessorMs(process.pid);
      if (delays.over && times.over) resolve(waitedForProcessorMs(process.pid) - waitedBefore);
    };
  });
  const waited = await Promise.race([over, failed.promise]);
  await loop.stop();
  await life.storage.close();
  return { delays: latenessOf(delays.latenessMs, waited), times: latenessOf(times.latenessMs, waited) };
});
