// Producers that do not give up: what was not answered OK is sent again, under a tag of its own.
import { type EnqueueOptions, type Fila, FilaError } from "@fila/sdk";
import type { KeyedLine } from "../e2e/access-lines.ts";
import type { KilledServer } from "./killed-server.ts";
import type { MessageBook, Promised } from "./message-book.ts";

/** Enqueues that each producer has under way. */
const UNDER_WAY = 8;

/** What the line's messages wait for, how long they live, and whether there is one only: by its number. */
function optionsOf(line: number): EnqueueOptions {
  switch (line % 8) {
    case 1:
      return { delay: 1 + (line % 250) };
    case 2:
      return { deliverAt: new Date(Date.now() + (line % 250)) };
    case 3:
      // Shorter than many leases: some die while they wait, some while a worker has them.
      return { ttl: 300 + (line % 1_000) };
    case 4:
    case 5:
      return { idempotencyKey: `line ${line}` };
    default:
      return {};
  }
}

function promisedBy({ delay, deliverAt, ttl, idempotencyKey }: EnqueueOptions): Promised {
  // The broker's clock is this machine's, and counts from when it gets the message.
  const notBefore = deliverAt?.getTime() ?? (delay === undefined ? 0 : Date.now() + Number(delay));
  return { mortal: ttl !== undefined, keyed: idempotencyKey !== undefined, notBefore };
}

export class Producers {
  /** Sent and not answered. */
  underWay = 0;
  stored = 0;
  readonly #lines: readonly KeyedLine[];
  readonly #queue: string;
  readonly #server: KilledServer;
  readonly #book: MessageBook;
  #next = 0;
  #changed = Promise.withResolvers<undefined>();

  constructor(lines: readonly KeyedLine[], queue: string, server: KilledServer, book: MessageBook) {
    this.#lines = lines;
    this.#queue = queue;
    this.#server = server;
    this.#book = book;
  }

  get lines(): number {
    return this.#lines.length;
  }

  /** Resolves when the condition holds; it is looked at whenever an enqueue is sent or answered. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await this.#changed.promise;
  }

  /** Resolves when every line was answered OK once. */
  async run(clients: readonly Fila[]): Promise<void> {
    await Promise.all(clients.flatMap((fila) => Array.from({ length: UNDER_WAY }, () => this.#produce(fila))));
  }

  async #produce(fila: Fila): Promise<void> {
    for (let line = this.#next++; line < this.#lines.length; line = this.#next++) {
      for (let copy = 1; !(await this.#enqueue(fila, line, copy)); copy++) await this.#server.whenUp();
    }
  }

  async #enqueue(fila: Fila, line: number, copy: number): Promise<boolean> {
    const { key, text } = this.#lines[line]!;
    const tag = `${line}.${copy}`;
    const options: EnqueueOptions = { fairnessKey: key, headers: { tag }, ...optionsOf(line) };
    this.#book.sent(tag, promisedBy(options));
    this.underWay += 1;
    this.#tell();
    try {
      this.#book.stored(tag, await this.#store(fila, text, options));
      this.stored += 1;
      return true;
    } catch (error) {
      if (FilaError.from(error).code !== "unavailable") throw error;
      return false;
    } finally {
      this.underWay -= 1;
      this.#tell();
    }
  }

  async #store(fila: Fila, text: string, options: EnqueueOptions): Promise<string> {
    const { idempotencyKey } = options;
    if (idempotencyKey === undefined) return fila.enqueue(this.#queue, text, options);
    const { id, duplicate } = await fila.enqueueOnce(this.#queue, text, { ...options, idempotencyKey });
    if (duplicate) this.#book.duplicates += 1;
    return id;
  }

  #tell(): void {
    const changed = this.#changed;
    this.#changed = Promise.withResolvers();
    changed.resolve(undefined);
  }
}
