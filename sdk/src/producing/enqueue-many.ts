// Many messages, results in order, a bounded number of them under way.
import { FilaError } from "../errors.ts";
import type { OutgoingMessage } from "../wire/outgoing-message.ts";
import type { Producer } from "./producer.ts";
import type { Sink } from "./sink.ts";

/** What became of one message of `enqueueMany`. */
export type EnqueueResult =
  /** `duplicate`: its idempotency key was used before, so that it was not stored; `id` is the first message's. */
  | { readonly ok: true; readonly id: string; readonly duplicate: boolean }
  | { readonly ok: false; readonly error: FilaError };

/** Messages whose result has not been taken. */
const maximumUntaken = 10_000;
/** Payload bytes without a result. */
const maximumBytesUnderWay = 4 * 1024 * 1024;

/** One message's place in the order of results. */
class Slot implements Sink {
  readonly #window: Window;
  readonly bytes: number;
  result: EnqueueResult | undefined;

  constructor(window: Window, bytes: number) {
    this.#window = window;
    this.bytes = bytes;
  }

  resolve(id: string, duplicate: boolean): void {
    this.result = { ok: true, id, duplicate };
    this.#window.settled(this);
  }

  reject(error: FilaError): void {
    this.result = { ok: false, error };
    this.#window.settled(this);
  }
}

/** The messages between the source and the reader of the results. */
class Window {
  #slots: Slot[] = [];
  #head = 0;
  #bytes = 0;
  /** The source is at its end (or failed), or the reader left. */
  sourceDone = false;
  stopped = false;
  failure: { readonly thrown: unknown } | undefined;
  #wakeReader: (() => void) | undefined;
  #wakePump: (() => void) | undefined;

  get head(): Slot | undefined {
    return this.#slots[this.#head];
  }

  get #full(): boolean {
    return this.#slots.length - this.#head >= maximumUntaken || this.#bytes >= maximumBytesUnderWay;
  }

  add(bytes: number): Slot {
    const slot = new Slot(this, bytes);
    this.#slots.push(slot);
    this.#bytes += bytes;
    return slot;
  }

  settled(slot: Slot): void {
    this.#bytes -= slot.bytes;
    if (slot === this.head) this.signalReader();
    this.#signalPump();
  }

  /** Takes the head away, whose result the reader now has. */
  take(): void {
    this.#head++;
    if (this.#head === this.#slots.length || this.#head >= maximumUntaken) {
      this.#slots = this.#slots.slice(this.#head);
      this.#head = 0;
    }
    this.#signalPump();
  }

  /** Resolves when one more message may be added. */
  async room(): Promise<void> {
    while (this.#full && !this.stopped) await new Promise<void>((resolve) => (this.#wakePump = resolve));
  }

  /** Resolves when the head has its result, or the source is done. */
  changed(): Promise<void> {
    return new Promise((resolve) => (this.#wakeReader = resolve));
  }

  signalReader(): void {
    const wake = this.#wakeReader;
    this.#wakeReader = undefined;
    wake?.();
  }

  stop(): void {
    this.stopped = true;
    this.#signalPump();
  }

  #signalPump(): void {
    if (this.#wakePump === undefined || (this.#full && !this.stopped)) return;
    const wake = this.#wakePump;
    this.#wakePump = undefined;
    wake();
  }
}

/**
 * Sends what the source yields. `prepare` checks and converts an item; what it throws becomes the item's result. An
 * error of the source itself is thrown after the results of all that came before it.
 */
export async function* enqueueMany<Item>(
  producer: Producer,
  source: Iterable<Item> | AsyncIterable<Item>,
  prepare: (item: Item) => OutgoingMessage,
): AsyncGenerator<EnqueueResult, void, undefined> {
  const window = new Window();
  void pump(producer, source, prepare, window);
  try {
    for (;;) {
      const slot = window.head;
      if (slot?.result !== undefined) {
        window.take();
        yield slot.result;
      } else if (slot === undefined && window.sourceDone) {
        break;
      } else {
        await window.changed();
      }
    }
    if (window.failure !== undefined) throw window.failure.thrown;
  } finally {
    window.stop();
  }
}

/** Never rejects. */
async function pump<Item>(
  producer: Producer,
  source: Iterable<Item> | AsyncIterable<Item>,
  prepare: (item: Item) => OutgoingMessage,
  window: Window,
): Promise<void> {
  try {
    for await (const item of source) {
      if (window.stopped) break;
      submit(producer, item, prepare, window);
      await window.room();
    }
  } catch (error) {
    window.failure = { thrown: error };
  }
  window.sourceDone = true;
  window.signalReader();
}

function submit<Item>(producer: Producer, item: Item, prepare: (item: Item) => OutgoingMessage, window: Window): void {
  let message: OutgoingMessage;
  try {
    message = prepare(item);
  } catch (error) {
    window.add(0).reject(FilaError.from(error));
    return;
  }
  producer.submit(message, window.add(message.payload.length));
}
