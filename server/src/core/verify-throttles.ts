// Whether buckets, their lines and the lanes that wait agree with each other.
import { invariant } from "./errors.ts";
import type { Lane } from "./lane.ts";
import type { State } from "./state.ts";
import type { Throttle } from "./throttle.ts";
import type { Line, Wait } from "./throttle-line.ts";

export function verifyThrottles(state: State): void {
  const naming = new Map<Throttle, number>();
  const seen = new Set<Wait>();
  for (const lane of state.lanes()) {
    invariant(
      lane.throttles.length === lane.throttleKeys.length &&
        lane.throttles.every(({ name }, at) => name === lane.throttleKeys[at]),
      "a lane knows its throttles",
    );
    for (const throttle of lane.throttles) naming.set(throttle, (naming.get(throttle) ?? 0) + 1);
    if (lane.wait !== undefined) seen.add(lane.wait);
  }
  const known = new Set(state.throttles.all());
  for (const throttle of naming.keys()) invariant(known.has(throttle), "a throttle that is named is known");
  let deadlines = 0;
  for (const throttle of known) {
    const { lanes, bucket, name } = throttle;
    invariant(lanes === (naming.get(throttle) ?? 0), "a throttle counts the lanes that name it");
    let inQueues = 0;
    for (const count of throttle.queues.values()) inQueues += count;
    invariant(lanes === inQueues, "a throttle counts the lanes of each queue");
    invariant(lanes > 0 || bucket.limit !== undefined, "a throttle goes when nobody names it and it has no limit");
    const configured = state.config.values.has(`throttle.${name}`);
    invariant(configured || bucket.limit === undefined, "a limit is configured");
    verifyLines(throttle, seen);
    if (throttle.deadline !== Infinity) deadlines += 1;
  }
  const parked = [...seen].filter(({ at }) => at !== undefined).length;
  invariant(state.throttles.waiting === parked, "the lanes that wait are counted");
  const heap = state.throttles.deadlines;
  invariant(heap.length === deadlines, "the heap of throttles holds those with a deadline");
  for (const [at, throttle] of heap.entries()) {
    const parent = heap[(at - 1) >> 1];
    const inOrder = parent === undefined || parent.deadline <= throttle.deadline;
    invariant(throttle.heapIndex === at && inOrder, "the heap of throttles is in order");
  }
}

function verifyLines(throttle: Throttle, waits: ReadonlySet<Wait>): void {
  let waiting = 0;
  for (const [queue, line] of throttle.lines) {
    invariant(line.queue === queue && line.throttle === throttle, "a line is of one queue at one bucket");
    waiting += line.size;
    for (const heap of line.heaps()) verifyHeap(line, heap, waits);
    const { called } = line;
    verifyWatch(line);
    if (called === undefined) continue;
    invariant(waits.has(called) && called.calls.includes(line), "a called lane knows of its call");
    invariant(called.at !== line && names(called.lane, line), "a called lane does not stand in the line");
  }
  invariant(throttle.waiting === waiting, "a throttle counts who waits");
  const [byPlace, byAge] = throttle.heaps();
  verifyLineHeap(byPlace, ({ placed }) => placed);
  verifyLineHeap(byAge, ({ urgent }) => urgent);
  for (const { calls } of waits)
    for (const line of calls) invariant(line.called !== undefined, "a call is known in its line");
}

function verifyWatch(line: Line): void {
  const { called, throttle, queue, placed, urgent } = line;
  const looksFor = called === undefined ? line.size > 0 : queue.unfetched.has(line) || line.overtaken;
  invariant(looksFor || throttle.watched.has(line), "a line that is not watched has nobody with tokens set aside");
  const free = called === undefined;
  const [byPlace, byAge] = throttle.heaps();
  const stands = (heap: readonly Line[], at: number): boolean => at >= 0 && heap[at] === line;
  invariant(
    stands(byPlace, line.placedIndex) === (free && placed !== undefined),
    "a free line stands by its first one",
  );
  invariant(stands(byAge, line.urgentIndex) === (free && urgent !== undefined), "and by its first urgent one");
}

function verifyLineHeap(heap: readonly Line[], first: (line: Line) => Wait | undefined): void {
  for (const [at, line] of heap.entries()) {
    const above = first(heap[(at - 1) >> 1] ?? line) as Wait;
    const wait = first(line) as Wait;
    const inOrder = at === 0 || (wait.urgent ? above.age < wait.age : !wait.placedBefore(above));
    invariant(inOrder && line.throttle.lines.get(line.queue) === line, "the lines of a throttle are in order");
  }
}

function verifyHeap(line: Line, heap: readonly Wait[], waits: ReadonlySet<Wait>): void {
  for (const [at, wait] of heap.entries()) {
    invariant(waits.has(wait) && wait.at === line && wait.index === at, "a parked lane knows its place in line");
    invariant(names(wait.lane, line), "a lane waits at its own throttles");
    const parent = heap[(at - 1) >> 1];
    const inOrder = parent === undefined || (parent.urgent === wait.urgent && !wait.before(parent));
    invariant(inOrder, "a line is in order");
  }
}

function names(lane: Lane, { throttle, queue }: Line): boolean {
  return lane.throttles.includes(throttle) && lane.key.queue === queue;
}
