/** First in, first out, both in constant time. */
export class Fifo<T> {
  #items: T[] = [];
  #from = 0;

  get size(): number {
    return this.#items.length - this.#from;
  }

  get first(): T | undefined {
    return this.#items[this.#from];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const items = this.#items;
    if (this.#from === items.length) return undefined;
    const item = items[this.#from] as T;
    // What was taken is not to be kept alive by the list.
    items[this.#from] = undefined as T;
    this.#from += 1;
    if (this.#from === items.length) {
      this.#items = [];
      this.#from = 0;
    } else if (this.#from >= 1_024 && this.#from * 2 > items.length) {
      this.#items = items.slice(this.#from);
      this.#from = 0;
    }
    return item;
  }

  /** All of them, and none is left. */
  clear(): T[] {
    const left = this.#items.slice(this.#from);
    this.#items = [];
    this.#from = 0;
    return left;
  }
}
