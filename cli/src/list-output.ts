// Lists of any length on stdout.
import type { Writable } from "node:stream";
import type { Column, Row } from "./table.ts";

export interface List<T> {
  readonly items: AsyncIterable<T> | Iterable<T>;
  readonly limit: number;
  readonly columns: readonly Column[];
  readonly row: (item: T) => Row;
  /** Of an item with --json. Default: as it is. */
  readonly object?: (item: T) => object;
  /** What is said of an empty list. */
  readonly none: string;
}

/** Passes on the first items, no faster than `stdout` takes them, until nobody reads it. */
export class Limited<T> {
  /** There are more than the limit. */
  truncated = false;
  readonly #items: AsyncIterable<T> | Iterable<T>;
  readonly #limit: number;
  readonly #stdout: Writable;

  constructor(items: AsyncIterable<T> | Iterable<T>, limit: number, stdout: Writable) {
    this.#items = items;
    this.#limit = limit;
    this.#stdout = stdout;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    let given = 0;
    for await (const item of this.#items) {
      if (given++ === this.#limit) {
        this.truncated = true;
        return;
      }
      yield item;
      if (!(await keepsUp(this.#stdout))) return;
    }
  }
}

const changes = ["drain", "error", "close"];

/** Resolves when `stdout` takes more; false: nobody reads it any more. */
export async function keepsUp(stdout: Writable): Promise<boolean> {
  if (stdout.writable && stdout.writableNeedDrain) {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        for (const event of changes) stdout.off(event, done);
        resolve();
      };
      for (const event of changes) stdout.on(event, done);
    });
  }
  return stdout.writable;
}
