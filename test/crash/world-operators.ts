// The operators of a world to crash: what they change, one thing at a time, and note.
import assert from "node:assert/strict";
import type { Broker, Outcome } from "../../server/src/broker/contract.ts";
import type { Operations } from "../../server/src/broker/operations-contract.ts";
import { keyOf, valueOf } from "../../server/src/broker/testing/broker-rig.ts";
import type { KeyOverride } from "../../server/src/core/queue.ts";
import type { QueueSettings } from "../../server/src/core/queue-settings.ts";
import type { Seeded } from "../faults/seeded.ts";
import { type BrokerNote, type NotedLease, type QueueLife, type Tag, cells } from "./broker-notes.ts";
import { KEYS, type SentMessage } from "./sent-message.ts";

/** What the cell of a queue holds. */
export function queueValue({ paused, maxBackoffMs }: Pick<QueueSettings, "paused" | "maxBackoffMs">): string {
  return `${paused ? "paused" : "running"} ${maxBackoffMs}`;
}

/** What the cell of a fairness key holds. */
export function keyValue({ weight, paused, maxInFlight }: KeyOverride): string {
  if (weight === 0 && !paused && maxInFlight === 0) return "";
  return `${paused ? "paused" : "running"} ${weight} ${maxInFlight}`;
}

interface Ground {
  readonly sent: ReadonlyMap<Tag, SentMessage>;
  readonly held: Map<Tag, NotedLease>;
  /** Those that are there. */
  readonly queues: readonly QueueLife[];
}

export class WorldOperators {
  /** Acked, removed or never stored. */
  readonly gone = new Set<Tag>();
  /** How often each change was made. */
  readonly done: Record<string, number> = {};
  readonly #dead = new Set<Tag>();
  readonly #random: Seeded;
  readonly #note: (note: BrokerNote) => void;
  readonly #ground: Ground;
  readonly #changes: readonly (readonly [what: string, change: (operations: Operations) => Promise<boolean>])[] = [
    ["value set", (operations) => this.#configure(operations, String(this.#random.between(1, 1_000_000)))],
    ["queue paused", (operations) => this.#update(operations, true)],
    ["key set", (operations) => this.#setKey(operations, this.#override(this.#random.chance(0.3)))],
    ["message cancelled", (operations) => this.#cancel(operations, false)],
    ["leased message cancelled", (operations) => this.#cancel(operations, true)],
    ["dead letters redriven", (operations) => this.#redrive(operations)],
    ["idempotency key released", (operations) => this.#release(operations)],
    ["queue updated", (operations) => this.#update(operations, false)],
    ["key given back", (operations) => this.#setKey(operations, { weight: 0, paused: false, maxInFlight: 0 })],
    ["queue purged", (operations) => this.#purge(operations, false)],
    ["dead letters purged", (operations) => this.#purge(operations, true)],
    ["value deleted", (operations) => this.#configure(operations, "")],
  ];

  constructor(random: Seeded, note: (note: BrokerNote) => void, ground: Ground) {
    this.#random = random;
    this.#note = note;
    this.#ground = ground;
  }

  acked(tags: readonly Tag[]): void {
    for (const tag of tags) this.gone.add(tag);
  }

  died(tags: readonly Tag[]): void {
    for (const tag of tags) this.#dead.add(tag);
  }

  /** They are not there any more. */
  remove(tags: readonly Tag[]): void {
    if (tags.length === 0) return;
    this.#note({ kind: "removed", tags });
    for (const tag of tags) {
      this.gone.add(tag);
      this.#ground.held.delete(tag);
      this.#dead.delete(tag);
    }
  }

  /** One change, of the kind that was made least often among those that can be made. Nothing else may be under way. */
  async step(broker: Broker): Promise<void> {
    const times = (what: string): number => this.done[what] ?? 0;
    for (const [what, change] of this.#changes.toSorted(([a], [b]) => times(a) - times(b))) {
      if (!(await change(broker.operations))) continue;
      this.done[what] = times(what) + 1;
      return;
    }
  }

  async #write(cell: string, value: string, change: () => Promise<Outcome<void>>): Promise<boolean> {
    this.#note({ kind: "write", cell, value });
    valueOf(await change());
    this.#note({ kind: "written", cell, value });
    return true;
  }

  #configure(operations: Operations, value: string): Promise<boolean> {
    const key = this.#random.pick(["a", "b", "c"]);
    return this.#write(cells.config(key), value, () => operations.setConfig(key, value));
  }

  #update(operations: Operations, paused: boolean): Promise<boolean> {
    const queue = this.#random.pick(this.#ground.queues);
    const settings = { paused, maxBackoffMs: this.#random.between(1_000, 9_000) };
    return this.#write(cells.queue(queue), queueValue(settings), () => operations.updateQueue(queue.name, settings));
  }

  #override(paused: boolean): KeyOverride {
    return { weight: this.#random.between(1, 9), paused, maxInFlight: this.#random.between(0, 50) };
  }

  #setKey(operations: Operations, override: KeyOverride): Promise<boolean> {
    const queue = this.#random.pick(this.#ground.queues);
    const key = this.#random.pick(KEYS);
    const value = keyValue(override);
    return this.#write(cells.key(queue, key), value, () => operations.setKey(queue.name, key, override));
  }

  async #cancel(operations: Operations, leased: boolean): Promise<boolean> {
    const found = this.#messages().filter(({ tag }) => this.#ground.held.has(tag) === leased);
    if (found.length === 0) return false;
    const { tag, queue, id } = this.#random.pick(found);
    this.#note({ kind: "remove", tags: [tag] });
    valueOf(await operations.cancelMessage(this.#dead.has(tag) ? deadLettersOf(queue) : queue.name, id));
    this.remove([tag]);
    return true;
  }

  /** What is leased stays, also if its delivery is still on its way. */
  async #purge(operations: Operations, dead: boolean): Promise<boolean> {
    const { held } = this.#ground;
    const waiting = this.#ofOneQueue(({ tag }) => this.#dead.has(tag) === dead && !held.has(tag));
    if (waiting.length === 0) return false;
    const { queue } = waiting[0]!;
    const name = dead ? deadLettersOf(queue) : queue.name;
    this.#note({ kind: "remove", tags: waiting.map(({ tag }) => tag) });
    valueOf(await operations.purgeQueue(name));
    const query = { queue: name, filter: {}, after: undefined, limit: 1_000, withBodies: false };
    const left = new Set(valueOf(await operations.listMessages(query)).messages.map(({ view }) => view.id));
    this.remove(waiting.filter(({ id }) => !left.has(id)).map(({ tag }) => tag));
    return true;
  }

  async #redrive(operations: Operations): Promise<boolean> {
    const dead = this.#ofOneQueue(({ tag }) => this.#dead.has(tag));
    if (dead.length === 0) return false;
    const chosen = this.#random.chance(0.5) ? dead : dead.slice(0, this.#random.between(1, 5));
    const tags = chosen.map(({ tag }) => tag);
    this.#note({ kind: "redrive", tags });
    const filter = chosen === dead ? {} : { ids: chosen.map(({ id }) => id) };
    const order = { queue: deadLettersOf(dead[0]!.queue), filter, count: 0, dryRun: false, ratePerSecond: 0 };
    const { redriven } = valueOf(await operations.redrive(order, () => undefined, new AbortController().signal));
    assert.equal(redriven, tags.length);
    for (const tag of tags) this.#dead.delete(tag);
    this.#note({ kind: "redriven", tags });
    return true;
  }

  async #release(operations: Operations): Promise<boolean> {
    const used = this.#messages().filter(({ idempotencyKey }) => idempotencyKey !== "");
    if (used.length === 0) return false;
    const { queue, idempotencyKey } = this.#random.pick(used);
    const cell = cells.use(queue, idempotencyKey);
    this.#note({ kind: "write", cell, value: "" });
    const outcome = await operations.releaseIdempotencyKey(queue.name, keyOf(idempotencyKey));
    // It may have been released before.
    assert.ok(outcome.ok || outcome.failure.reason === "KEY_NOT_FOUND", JSON.stringify(outcome));
    this.#note({ kind: "written", cell, value: "" });
    return outcome.ok;
  }

  /** Of queues that are there. */
  #messages(): SentMessage[] {
    const { sent, queues } = this.#ground;
    return [...sent.values()].filter(
      ({ id, tag, queue }) => id !== "" && !this.gone.has(tag) && queues.includes(queue),
    );
  }

  #ofOneQueue(filter: (message: SentMessage) => boolean): SentMessage[] {
    const found = this.#messages().filter(filter);
    if (found.length === 0) return found;
    const { queue } = this.#random.pick(found);
    return found.filter((message) => message.queue === queue);
  }
}

function deadLettersOf({ name }: QueueLife): string {
  return `${name}.dlq`;
}
