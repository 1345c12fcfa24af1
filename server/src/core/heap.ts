// A binary heap of things that know their places in it, so that any of them can be taken out or can move.

export interface HeapRules<T> {
  precedes(a: T, b: T): boolean;
  /** -1 = it is not in the heap. */
  placeOf(item: T): number;
  setPlace(item: T, place: number): void;
}

export class Heap<T> {
  readonly #items: T[] = [];
  readonly #rules: HeapRules<T>;

  constructor(rules: HeapRules<T>) {
    this.#rules = rules;
  }

  get size(): number {
    return this.#items.length;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  /** In the order of the heap. */
  all(): readonly T[] {
    return this.#items;
  }

  /** It goes where it belongs by now, whether or not it was in the heap. */
  put(item: T): void {
    if (this.#rules.placeOf(item) < 0) this.#rules.setPlace(item, this.#items.push(item) - 1);
    this.#up(item);
    this.#down(item);
  }

  /** Without effect when it is not there. */
  remove(item: T): void {
    const place = this.#rules.placeOf(item);
    if (place < 0) return;
    this.#rules.setPlace(item, -1);
    const last = this.#items.pop() as T;
    if (last === item) return;
    this.#items[place] = last;
    this.#rules.setPlace(last, place);
    this.#up(last);
    this.#down(last);
  }

  #up(item: T): void {
    for (let place = this.#rules.placeOf(item); place > 0; place = (place - 1) >> 1) {
      const parent = this.#items[(place - 1) >> 1] as T;
      if (!this.#rules.precedes(item, parent)) return;
      this.#swap(item, parent);
    }
  }

  #down(item: T): void {
    for (;;) {
      const place = this.#rules.placeOf(item);
      const left = this.#items[place * 2 + 1];
      if (left === undefined) return;
      const right = this.#items[place * 2 + 2];
      const child = right !== undefined && this.#rules.precedes(right, left) ? right : left;
      if (!this.#rules.precedes(child, item)) return;
      this.#swap(child, item);
    }
  }

  #swap(a: T, b: T): void {
    const [from, to] = [this.#rules.placeOf(a), this.#rules.placeOf(b)];
    this.#rules.setPlace(a, to);
    this.#rules.setPlace(b, from);
    this.#items[to] = a;
    this.#items[from] = b;
  }
}
