// Results on their way back: numbers, and each string once.
import { type Results, actions, column, columns, statuses } from "./protocol.ts";
import type { CallResult, EnqueueDecision, FailureDecision, ScriptFailure } from "./script-engine.ts";

export class ResultBatch {
  #rows = new Float64Array(64 * columns);
  #count = 0;
  #strings: string[] = [];
  #places = new Map<string, number>();
  #sets: (readonly string[])[] = [];
  #setPlaces = new Map<string, number>();
  #failures: ScriptFailure[] = [];

  get size(): number {
    return this.#count;
  }

  /** Begins the row of a job. */
  add(job: number, version: number, ms: number): void {
    const start = this.#count * columns;
    if (start === this.#rows.length) {
      const grown = new Float64Array(this.#rows.length * 2);
      grown.set(this.#rows);
      this.#rows = grown;
    }
    this.#count += 1;
    this.#rows.fill(-1, start, start + columns);
    this.#set(column.job, job);
    this.#set(column.version, version);
    this.#set(column.status, statuses.skipped);
    this.#set(column.decided, 0);
    this.#set(column.warnings, 0);
    this.#set(column.ms, ms);
  }

  /** How the call of the last row's script ended. */
  called(result: CallResult<unknown>, ms: number): void {
    this.#set(column.ms, ms);
    if (result.ok) {
      this.#set(column.status, statuses.called);
      this.#set(column.warnings, result.warnings.length);
    } else {
      this.#set(column.status, statuses.failed);
      this.#set(column.failure, this.#failures.push(result.failure) - 1);
    }
  }

  enqueueDecision({ fairnessKey, weight, cost, throttleKeys, delayMs }: EnqueueDecision): void {
    this.#set(column.decided, 1);
    if (fairnessKey !== undefined) this.#set(column.fairnessKey, this.#placeOf(fairnessKey));
    if (weight !== undefined) this.#set(column.weight, weight);
    if (cost !== undefined) this.#set(column.cost, cost);
    if (throttleKeys !== undefined) this.#set(column.throttleKeys, this.#placeOfSet(throttleKeys));
    if (delayMs !== undefined) this.#set(column.delayMs, delayMs);
  }

  failureDecision({ action, delayMs }: FailureDecision): void {
    this.#set(column.decided, 1);
    if (action !== undefined) this.#set(column.action, actions.indexOf(action));
    if (delayMs !== undefined) this.#set(column.delayMs, delayMs);
  }

  /** What was gathered, which is then forgotten. */
  take(): Results {
    const rows = this.#rows.slice(0, this.#count * columns);
    const taken: Results = {
      type: "results",
      rows,
      strings: this.#strings,
      sets: this.#sets,
      failures: this.#failures,
    };
    this.#count = 0;
    this.#strings = [];
    // New ones: a cleared map keeps all of its tables alive up to the next full collection.
    if (this.#places.size > 0) this.#places = new Map();
    this.#sets = [];
    if (this.#setPlaces.size > 0) this.#setPlaces = new Map();
    this.#failures = [];
    return taken;
  }

  #set(name: number, value: number): void {
    this.#rows[(this.#count - 1) * columns + name] = value;
  }

  #placeOf(text: string): number {
    let place = this.#places.get(text);
    if (place === undefined) {
      place = this.#strings.push(text) - 1;
      this.#places.set(text, place);
    }
    return place;
  }

  #placeOfSet(keys: readonly string[]): number {
    // A key cannot hold what joins them in a way that two sets look the same: each is preceded by its length.
    let name = "";
    for (const key of keys) name += `${key.length}:${key}`;
    let place = this.#setPlaces.get(name);
    if (place === undefined) {
      place = this.#sets.push(keys) - 1;
      this.#setPlaces.set(name, place);
    }
    return place;
  }
}
