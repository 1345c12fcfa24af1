// One life of the core with its journal: from a recovery to the next. Commands in, operations for the disk and effects
// out, all synchronous, so that the simulation drives the very same thing as the shell does.
import type { Command } from "../core/commands.ts";
import { Core } from "../core/core.ts";
import type { Delivery, Effect } from "../core/effects.ts";
import type { CoreLimits } from "../core/limits.ts";
import { type StoredLease, Restorer } from "../core/restore.ts";
import { MessageState } from "../core/message-table.ts";
import type { Mutation } from "../core/mutations.ts";
import type { Entropy, Now } from "../core/turn.ts";
import type { Catalog } from "../storage/journal/catalog.ts";
import { Checkpoint, type CheckpointOptions, type LoadedRecords } from "../storage/journal/checkpoint.ts";
import type { Journal } from "../storage/journal/journal.ts";
import type { PayloadRecord } from "../storage/journal/ledger.ts";
import type { MessageSource } from "../storage/journal/message-source.ts";
import type { PayloadCache } from "../storage/journal/payload-cache.ts";
import { Recovery } from "../storage/journal/recovery.ts";
import type { Op } from "../storage/port.ts";

export interface EngineOptions {
  /** 0 to 1,023: part of every message id; a store that has begun keeps the one it began with. */
  readonly salt: number;
  readonly entropy: Entropy;
  readonly limits: CoreLimits;
  readonly checkpoint: CheckpointOptions;
  readonly cache: PayloadCache;
}

/** A message by its name, and by the slot that it has if it is still there. */
export type StoredName = Pick<Delivery, "queueNumber" | "sequence" | "slot">;

/** Where the bytes of a message are. */
export interface BytesPlace {
  readonly record: PayloadRecord;
  readonly offset: number;
  readonly length: number;
}

export interface TurnOutput {
  /** Operations of the system shard, to be committed first; often none. */
  readonly system: readonly Op[];
  /** Operations of the data shard; none when the turn changed nothing. */
  readonly data: readonly Op[];
  /** What the operations write down; for those who count. */
  readonly mutations: readonly Mutation[];
  /** To be released when both are durable. */
  readonly effects: readonly Effect[];
  /** There is more to do right away. */
  readonly more: boolean;
  /** ... which may go along with the turns of those who are served. */
  readonly leisurely: boolean;
}

/** What the system shard alone has to remember. */
const catalogOnly: ReadonlySet<Mutation["type"]> = new Set(["queue-created", "queue-updated", "key-set", "config-set"]);

/** Feeds a recovery record by record, then gives the engine. */
export class EngineStart {
  readonly #options: EngineOptions;
  readonly #core: Core;
  readonly #recovery: Recovery;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#core = new Core(options.salt, options.entropy, options.limits);
    this.#recovery = new Recovery(this.#core, new Restorer(this.#core));
  }

  add(key: Uint8Array, value: Uint8Array): void {
    this.#recovery.add(key, value);
  }

  finish(now: Now): Engine {
    const { journal, catalog, damage } = this.#recovery.finish(now, this.#options.cache);
    return new Engine(this.#core, journal, catalog, damage, this.#options.checkpoint);
  }
}

export class Engine {
  readonly core: Core;
  readonly journal: Journal;
  readonly checkpoint: Checkpoint;
  /** What recovery had to leave out, in words. */
  readonly damage: readonly string[];
  readonly #catalog: Catalog;

  constructor(
    core: Core,
    journal: Journal,
    catalog: Catalog,
    damage: readonly string[],
    checkpointOptions: CheckpointOptions,
  ) {
    this.core = core;
    this.journal = journal;
    this.damage = damage;
    this.#catalog = catalog;
    this.checkpoint = new Checkpoint(journal, messageSource(core), checkpointOptions);
  }

  /** Operations of the system shard to be committed before the first turn; none for a store that has begun. */
  begin(): readonly Op[] {
    return this.#catalog.begin();
  }

  /**
   * @param loaded the records that `checkpoint.plan` asked for; undefined: no slice with this turn
   * @param expire false: leases whose time is over stand for this turn
   */
  turn(commands: readonly Command[], now: Now, loaded: LoadedRecords | undefined, expire = true): TurnOutput {
    const { core, journal, checkpoint } = this;
    core.begin(now, commands.length === 0);
    for (const command of commands) core.step(command);
    const { mutations, effects, more, leisurely } = core.finish(expire);
    const system = this.#catalog.encode(mutations);
    const slicing = loaded !== undefined && checkpoint.active;
    const changed = slicing || mutations.some(({ type }) => !catalogOnly.has(type));
    const data = changed ? journal.encode(mutations, now.wall) : [];
    if (slicing) checkpoint.slice(loaded, data);
    else if (!checkpoint.active && checkpoint.due) checkpoint.begin();
    return { system, data, mutations, effects, more, leisurely };
  }

  /** Valid until the next turn. undefined: the message is gone. */
  placeOf({ queueNumber, sequence, slot }: StoredName): BytesPlace | undefined {
    const { table } = this.core.state;
    if (this.core.state.index.get(queueNumber, sequence) !== slot) return undefined;
    const record = this.journal.ledger.records.get(table.record(slot));
    if (record === undefined) return undefined;
    return { record, offset: table.offset(slot), length: table.length(slot) };
  }
}

function messageSource(core: Core): MessageSource {
  const { state } = core;
  const { table } = state;
  return {
    find: (queueNumber, sequence) => state.index.get(queueNumber, sequence),
    laneOf: (slot) => state.laneOf(slot),
    factsOf: (slot) => ({
      sequence: table.sequence(slot),
      enqueuedAt: table.enqueuedAt(slot),
      readyAt: core.storedReadyAt(slot),
      expiresAt: core.storedExpiresAt(slot),
      firstFailedAt: table.firstFailedAt(slot),
      attempts: table.attempts(slot),
      cost: table.cost(slot),
      offset: table.offset(slot),
      length: table.length(slot),
    }),
    stateOf: (slot) => {
      switch (table.state(slot)) {
        case MessageState.quarantined:
          return "quarantined";
        case MessageState.delayed:
          return "delayed";
        case MessageState.scheduled:
          return "scheduled";
        case MessageState.deciding:
          return { end: state.undecided.endOf(slot) };
        default:
          return (state.leases.get(slot) satisfies StoredLease | undefined) ?? "ready";
      }
    },
    recordOf: (slot) => table.record(slot),
    pageOf: (slot) => table.page(slot),
    setPage: (slot, page) => table.setPage(slot, page),
    setBytes: (slot, record, offset) => table.setBytes(slot, record, offset),
    nextSequence: (queueNumber) => state.queuesByNumber.get(queueNumber)?.nextSequence,
  };
}
