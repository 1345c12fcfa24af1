import type { Failure } from "../core/errors.ts";

/** The entries of one request: those that the broker is to decide, and why others were refused before it. */
export interface PartialFrame<Item> {
  readonly items: readonly Item[];
  /** One per entry of the request, in order: why it was refused, or undefined for the next of `items`. Absent when
   * nothing was refused. */
  readonly refused: readonly (Failure | undefined)[] | undefined;
}

/** Gathers the entries of a request, in order. */
export class PartialFrameBuilder<Item> implements PartialFrame<Item> {
  readonly items: Item[] = [];
  refused: (Failure | undefined)[] | undefined = undefined;
  #count = 0;

  accept(item: Item): void {
    this.items.push(item);
    this.refused?.push(undefined);
    this.#count++;
  }

  refuse(failed: Failure): void {
    this.refused ??= new Array<Failure | undefined>(this.#count).fill(undefined);
    this.refused.push(failed);
    this.#count++;
  }
}

/** One outcome per entry, in order, from those of the items; one failure for all stands for each of them. */
export function outcomesOf<Outcome>(
  frame: PartialFrame<unknown>,
  outcomes: readonly Outcome[] | Failure,
): readonly (Outcome | Failure)[] {
  const ofItems = isList(outcomes) ? outcomes : undefined;
  const forAll = ofItems === undefined ? (outcomes as Failure) : undefined;
  if (frame.refused === undefined) return ofItems ?? frame.items.map(() => forAll!);
  let next = 0;
  return frame.refused.map((refused) => refused ?? (ofItems === undefined ? forAll! : ofItems[next++]!));
}

function isList<Outcome>(outcomes: readonly Outcome[] | Failure): outcomes is readonly Outcome[] {
  return Array.isArray(outcomes);
}
