// The one way to a running broker: opens the store, rebuilds the core, starts the turns.
import { defaultLimits } from "../core/limits.ts";
import { defaultCheckpointOptions } from "../storage/journal/checkpoint.ts";
import type { Storage } from "../storage/port.ts";
import type { Hooks } from "../hooks/port.ts";
import type { TurnObserver } from "../telemetry/turn-observer.ts";
import { type Clock, systemClock } from "./clock.ts";
import type { ReadableBroker } from "./contract.ts";
import { Shell, type ShellLog } from "./shell.ts";
import { openLife } from "./store.ts";

export interface BrokerOptions {
  /** Called at the start, and again whenever a write was rejected and the store must be reopened. */
  readonly open: () => Promise<Storage>;
  readonly log: ShellLog;
  /** Told what becomes durable. */
  readonly observer?: TurnObserver | undefined;
  /** Runs the scripts of queues, and stops with the broker; absent: queues cannot have any. */
  readonly hooks?: Hooks | undefined;
  /** The process must end: the state can be rebuilt, going on with a wrong one would lose messages. */
  readonly fatal: (error: unknown) => void;
  /** Queues at most; default 10,000. */
  readonly maxQueues?: number;
  /** Bytes of recent messages kept in memory; default 64 MiB. */
  readonly payloadCacheBytes?: number;
  /** A checkpoint begins when the journal has this many bytes; default 16 MiB. */
  readonly checkpointJournalBytes?: number;
  readonly clock?: Clock;
}

/** Rejects with StorageError when the store cannot be opened or trusted. */
export async function openBroker(options: BrokerOptions): Promise<ReadableBroker> {
  const clock = options.clock ?? systemClock;
  const shellOptions = {
    open: options.open,
    log: options.log,
    observer: options.observer,
    hooks: options.hooks,
    fatal: options.fatal,
    clock,
    limits: { ...defaultLimits, maxQueues: options.maxQueues ?? defaultLimits.maxQueues },
    checkpoint: {
      ...defaultCheckpointOptions,
      journalBytes: options.checkpointJournalBytes ?? defaultCheckpointOptions.journalBytes,
    },
    payloadCacheBytes: options.payloadCacheBytes ?? 64 * 1_048_576,
  };
  const life = await openLife(options.open, shellOptions, clock);
  for (const damage of life.engine.damage) options.log.error(damage);
  return new Shell(life, shellOptions);
}
