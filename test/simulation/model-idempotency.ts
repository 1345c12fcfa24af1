// Idempotency keys: within the window of its first use a key answers with that message, whatever became of it.
import type { Command, EnqueueItem } from "../../server/src/core/commands.ts";
import type { EnqueueOutcome } from "../../server/src/core/effects.ts";
import { expect } from "./failure.ts";
import type { Model } from "./model.ts";
import type { ModelMessage, ModelQueue } from "./model-state.ts";
import type { TurnReader } from "./turn-reader.ts";

type CommandOf<T extends Command["type"]> = Extract<Command, { type: T }>;

/** Keys are forgotten together, at most so late. */
const forgetAfterMs = 1_000;

export interface ModelUse {
  readonly key: string;
  readonly id: string;
  readonly sequence: number;
  /** When its window is over, steady clock. */
  at: number;
  /** The same as the store has it, wall clock. */
  readonly written: number;
  released: boolean;
}

/** The uses of one commit: the store forgets them together. */
interface Segment {
  readonly turn: object;
  readonly uses: ModelUse[];
  forgotten: number;
}

export class ModelUses {
  #segments: Segment[] = [];
  readonly #byKey = new Map<string, ModelUse>();
  /** Those that count for the limit. */
  size = 0;

  find(key: string, steady: number): ModelUse | undefined {
    const use = this.#byKey.get(key);
    return use !== undefined && use.at > steady ? use : undefined;
  }

  living(steady: number): ModelUse[] {
    return [...this.#byKey.values()].filter(({ at }) => at > steady);
  }

  add(turn: object, use: ModelUse): void {
    const last = this.#segments.at(-1);
    if (last?.turn === turn) last.uses.push(use);
    else this.#segments.push({ turn, uses: [use], forgotten: 0 });
    this.#byKey.set(use.key, use);
    this.size += 1;
  }

  /** false: the key is not known. */
  release(key: string): boolean {
    const use = this.#byKey.get(key);
    if (use === undefined) return false;
    use.released = true;
    this.#byKey.delete(key);
    return true;
  }

  get oldest(): ModelUse | undefined {
    const [segment] = this.#segments;
    return segment?.uses[segment.forgotten];
  }

  forgetOldest(): void {
    const [segment] = this.#segments as [Segment];
    const use = segment.uses[segment.forgotten] as ModelUse;
    if (this.#byKey.get(use.key) === use) this.#byKey.delete(use.key);
    segment.forgotten += 1;
    this.size -= 1;
    if (segment.forgotten === segment.uses.length) this.#segments.shift();
  }

  /** The store says when windows are over, by the wall clock; and a commit's uses are there as long as one of them is. */
  restarted(): void {
    this.#byKey.clear();
    this.size = 0;
    for (const segment of this.#segments) {
      segment.forgotten = 0;
      this.size += segment.uses.length;
      for (const use of segment.uses) {
        use.at = use.written;
        if (use.released) this.#byKey.delete(use.key);
        else this.#byKey.set(use.key, use);
      }
    }
  }
}

/** true: the message is to be stored. */
export function checkFirstUse(
  model: Model,
  { uses, name }: ModelQueue,
  item: EnqueueItem,
  outcome: EnqueueOutcome | undefined,
  steady: number,
): boolean {
  if (item.idempotencyKey === undefined) return true;
  const { text } = item.idempotencyKey;
  const known = uses.find(text, steady);
  const said = (): string => `key ${text} of ${name} is answered with ${JSON.stringify(outcome)}`;
  if (known !== undefined) {
    const right = typeof outcome === "object" && "duplicateOf" in outcome && outcome.duplicateOf === known.id;
    expect(right, () => `${said()}, it is in use for ${known.id} for ${known.at - steady} ms more`);
    model.coverage.duplicates += 1;
    return false;
  }
  if (uses.size < model.maxIdempotencyKeys) return true;
  const full = typeof outcome === "object" && "reason" in outcome && outcome.reason === "IDEMPOTENCY_WINDOW_FULL";
  expect(full, () => `${said()}, and ${uses.size} are known`);
  model.coverage.windowsFull += 1;
  return false;
}

export function checkUsed(model: Model, reader: TurnReader, message: ModelMessage): void {
  const { item, queue, sequence, enqueuedAt, id } = message;
  if (item.idempotencyKey === undefined) return;
  const used = reader.mutation("key-used");
  const { dedupWindowMs } = queue.settings;
  const right =
    used.queueNumber === queue.number &&
    used.key === item.idempotencyKey &&
    used.sequence === sequence &&
    used.enqueuedAt === enqueuedAt &&
    used.expiresAt === enqueuedAt + dedupWindowMs;
  expect(right, () => `${message.name} uses a key as ${JSON.stringify(used)}`);
  const at = model.steady(reader.turn.now) + dedupWindowMs;
  const { text: key } = item.idempotencyKey;
  queue.uses.add(reader.turn, { key, id, sequence, at, written: used.expiresAt, released: false });
}

/** Reads what the turn forgets: nothing whose window is not over, and nothing is kept for long. */
export function checkForgotten(model: Model, reader: TurnReader): void {
  const steady = model.steady(reader.turn.now);
  while (reader.nextType === "keys-forgotten") {
    const { queueNumber, count } = reader.mutation("keys-forgotten");
    const uses = model.queuesByNumber.get(queueNumber)?.uses;
    for (let left = count; left > 0; left -= 1) {
      const use = uses?.oldest;
      expect(uses !== undefined && use !== undefined, () => `more keys of queue ${queueNumber} forgotten than known`);
      expect(
        use.released || use.at <= steady,
        () => `key ${use.key} of queue ${queueNumber} is forgotten ${use.at - steady} ms early`,
      );
      uses.forgetOldest();
      model.coverage.keysForgotten += 1;
    }
  }
  if (reader.turn.more) return;
  for (const { uses, name } of model.queuesByNumber.values()) {
    const over = uses.oldest?.released === true ? 0 : (uses.oldest?.at ?? Infinity);
    expect(over + forgetAfterMs > steady, () => `key ${uses.oldest?.key} of ${name} is never forgotten`);
  }
}

export function checkRelease(
  model: Model,
  queue: ModelQueue,
  reader: TurnReader,
  { key }: CommandOf<"release-key">,
): void {
  const { text } = key as { readonly text?: string };
  if (!queue.uses.release(text ?? "")) {
    expect(reader.effect("failed").failure.reason === "KEY_NOT_FOUND", () => `key ${text} is released, but not in use`);
    return;
  }
  reader.effect("done");
  expect(reader.mutation("key-released").queueNumber === queue.number, () => "a key of another queue is released");
  model.coverage.keysReleased += 1;
}

export function checkFindUses(
  model: Model,
  queue: ModelQueue,
  reader: TurnReader,
  { uses }: CommandOf<"find-uses">,
): void {
  const { ids, queueNumber } = reader.effect("uses-found");
  expect(queueNumber === queue.number, () => `the keys of queue ${queueNumber} instead of ${queue.number}`);
  const steady = model.steady(reader.turn.now);
  for (const [at, { key, sequence }] of uses.entries()) {
    const { text = "" } = key as { readonly text?: string };
    const use = queue.uses.find(text, steady);
    const due = use?.sequence === sequence ? use.id : undefined;
    expect(ids[at] === due, () => `key ${text} is shown as used for ${ids[at]}, not for ${due}`);
  }
}
