// Producers that do not give up: what was not answered OK is sent again, under a tag of its own.
import { type Fila, FilaError } from "@fila/sdk";
import type { KeyedLine } from "../e2e/access-lines.ts";
import type { KilledServer } from "./killed-server.ts";
import type { MessageBook } from "./message-book.ts";

/** Enqueues that each producer has under way. */
const UNDER_WAY = 8;

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
    this.#book.sent(tag);
    this.underWay += 1;
    this.#tell();
    try {
      this.#book.stored(tag, await fila.enqueue(this.#queue, text, { fairnessKey: key, headers: { tag } }));
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

  #tell(): void {
    const changed = this.#changed;
    this.#changed = Promise.withResolvers();
    changed.resolve(undefined);
  }
}
