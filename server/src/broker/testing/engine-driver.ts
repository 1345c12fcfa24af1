// Drives an engine turn by turn over a store in memory, with the slices of its checkpoints, as the shell does.
import type { Command } from "../../core/commands.ts";
import { defaultLimits } from "../../core/limits.ts";
import type { CheckpointOptions, LoadedRecords } from "../../storage/journal/checkpoint.ts";
import { payloadKey, recoveryRange } from "../../storage/journal/keys.ts";
import type { PayloadRecord } from "../../storage/journal/ledger.ts";
import { PayloadCache } from "../../storage/journal/payload-cache.ts";
import { payloadHeaderIntact } from "../../storage/journal/payload-record.ts";
import { SortedMap } from "../../storage/memory/sorted-map.ts";
import type { Op } from "../../storage/port.ts";
import { type Engine, EngineStart, type TurnOutput } from "../engine.ts";

export class EngineDriver {
  readonly store: SortedMap;
  readonly engine: Engine;
  readonly #entropy = { words: new Uint32Array(4_096), left: 0 };
  readonly #cache = new PayloadCache(0);
  #nextWord = 1;
  /** Milliseconds, on both clocks. */
  #time: number;
  #loaded: LoadedRecords | undefined;

  /** Recovers from the store. */
  constructor(checkpoint: CheckpointOptions, store = new SortedMap(), time = 0) {
    this.store = store;
    this.#time = time;
    const start = new EngineStart({
      salt: 3,
      entropy: this.#entropy,
      limits: defaultLimits,
      checkpoint,
      cache: this.#cache,
    });
    for (const run of store.snapshot(recoveryRange.gte, recoveryRange.lt)) {
      for (const { key, value } of run) start.add(key, value);
    }
    this.engine = start.finish(this.#now());
    this.#commit(this.engine.begin());
  }

  turn(...commands: readonly Command[]): TurnOutput {
    const { words } = this.#entropy;
    for (let at = this.#entropy.left; at < words.length; at += 1) words[at] = Math.imul(this.#nextWord++, 0x9e3779b1);
    this.#entropy.left = words.length;
    this.#time += 1;
    const output = this.engine.turn(commands, this.#now(), this.#loaded);
    this.#commit(output.system);
    this.#commit(output.data);
    this.#cache.trim();
    this.#loaded = this.engine.checkpoint.active ? this.#load(this.engine.checkpoint.plan()) : undefined;
    return output;
  }

  get time(): number {
    return this.#time;
  }

  pass(milliseconds: number): void {
    this.#time += milliseconds;
  }

  #now(): { mono: number; wall: number } {
    return { mono: this.#time, wall: 1_700_000_000_000 + this.#time };
  }

  #load(records: readonly PayloadRecord[]): LoadedRecords {
    const loaded = new Map<PayloadRecord, Uint8Array>();
    for (const record of records) {
      const key = payloadKey(record.queueNumber, record.id);
      const value = this.#cache.get(record) ?? this.store.get(key);
      if (value !== undefined && payloadHeaderIntact(key, value)) loaded.set(record, value);
    }
    return loaded;
  }

  #commit(ops: readonly Op[]): void {
    for (const op of ops) {
      if ("put" in op) this.store.set(op.put, op.value);
      else this.store.delete(op.del);
    }
  }
}
