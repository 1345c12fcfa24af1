// One run of a redrive: dead letters go back to their queue, oldest first, in slices of one turn each, so that other
// queues are served in between.
//
// States: checking (is it a dead-letter queue?) -> searching -> sifting -> moving -> waiting (for the rate) -> sifting |
// searching | done; from each of them refused (a failure of the broker) or aborted (the caller is gone). What was moved
// stays moved; nothing is moved twice, because what was moved is in the dead-letter queue no longer.
//
// May never happen: a message that the same run moves twice. The run goes through the messages in one order and looks at
// none twice, so one that is dead-lettered again lies behind it; and it leaves what was enqueued after it began, known by
// its sequence, whatever was done to the clocks: a producer of messages that fail at once cannot keep it going for ever.
import type { StateName } from "../../core/message-view.ts";
import type { ScanPlace } from "../../core/scan.ts";
import type { Clock } from "../clock.ts";
import type { Outcome } from "../contract.ts";
import type { RedriveOrder, RedriveProgress, SearchFilter, StoredMessage } from "../operations-contract.ts";
import { findCandidates } from "./candidates.ts";
import { type Answer, type OperationsHost, change } from "./host.ts";
import { Sieve } from "./sieve.ts";

/** Messages of one slice at most. */
export const messagesPerSlice = 1_000;
/** Messages that one walk over the table looks for. */
const messagesPerSearch = 10_000;
const progressEveryMs = 250;
/** Slices of a rate that is high enough. */
const slicesPerSecond = 10;
/** Rates below are kept message by message. */
const smoothRate = 100;
/** What lies in a dead-letter queue and can be moved: neither leased nor unreadable. */
const movable: readonly StateName[] = ["ready", "delayed", "scheduled"];

export class Redriver {
  readonly #host: OperationsHost;
  readonly #order: RedriveOrder;
  #filter: SearchFilter;
  readonly #signal: AbortSignal;
  readonly #tell: (progress: RedriveProgress) => void;
  readonly #pace: Pace;
  readonly #left: number;
  #redriven = 0;
  #examined = 0;
  #told = 0;

  constructor(
    host: OperationsHost,
    order: RedriveOrder,
    progress: (progress: RedriveProgress) => void,
    signal: AbortSignal,
  ) {
    const { filter } = order;
    this.#host = host;
    this.#order = order;
    this.#filter = { ...filter, states: filter.states?.filter((state) => movable.includes(state)) ?? movable };
    this.#signal = signal;
    this.#tell = progress;
    this.#pace = new Pace(order.dryRun ? 0 : order.ratePerSecond);
    this.#left = order.count === 0 ? Infinity : order.count;
  }

  /** Rejects with the signal's reason once it aborts. */
  async run(): Promise<Outcome<RedriveProgress>> {
    // Moves nothing, and tells whether anything can be moved from there.
    const checked = await this.#move([]);
    if (!checked.ok) return checked;
    this.#filter = { ...this.#filter, below: checked.value.next };
    this.#tellNow();
    for (let after: ScanPlace | undefined; ;) {
      const { queue } = this.#order;
      const found = await findCandidates(this.#host, queue, this.#filter, after, messagesPerSearch, this.#signal);
      if (!found.ok) return found;
      const sieve = new Sieve(this.#host, queue, this.#filter, { bodies: false, failures: false });
      for (let at = 0; at < found.value.length && this.#redriven < this.#left;) {
        const batch = sieve.batch(found.value, at);
        const passed = await sieve.pass(batch);
        this.#signal.throwIfAborted();
        if (!passed.ok) return passed;
        at += batch.views.length;
        this.#examined += batch.views.length;
        const refused = await this.#redrive(passed.value);
        if (refused !== undefined) return refused;
        this.#report();
      }
      after = found.value.at(-1);
      const isAll = found.value.length < messagesPerSearch || this.#filter.ids !== undefined;
      if (isAll || this.#redriven >= this.#left) return { ok: true, value: this.#progress() };
    }
  }

  async #redrive(messages: readonly StoredMessage[]): Promise<Outcome<never> | undefined> {
    for (let at = 0; at < messages.length && this.#redriven < this.#left;) {
      const slice = messages.slice(at, at + Math.min(this.#pace.slice, this.#left - this.#redriven));
      at += slice.length;
      if (this.#order.dryRun) this.#redriven += slice.length;
      else {
        await this.#pace.wait(this.#host.clock, this.#signal);
        const moved = await this.#move(slice);
        if (!moved.ok) return moved;
        this.#redriven += moved.value.messages;
        this.#report();
      }
    }
    return undefined;
  }

  #move(messages: readonly StoredMessage[]): Promise<Outcome<Answer<"redriven">>> {
    const names = messages.map(({ view: { queueNumber, sequence } }) => ({ queueNumber, sequence }));
    const { queue } = this.#order;
    return change(this.#host, "redriven", (request) => ({ type: "redrive", request, queue, messages: names }));
  }

  #report(): void {
    this.#signal.throwIfAborted();
    if (this.#host.clock.mono() - this.#told >= progressEveryMs) this.#tellNow();
  }

  #tellNow(): void {
    this.#told = this.#host.clock.mono();
    this.#tell(this.#progress());
  }

  #progress(): RedriveProgress {
    return { redriven: this.#redriven, examined: this.#examined };
  }
}

/** Slices at even distances, so that no second has more messages than the rate, and a slow slice is not made up for. */
class Pace {
  readonly slice: number;
  readonly #everyMs: number;
  #next = -Infinity;

  /** @param perSecond 0 = as fast as it goes */
  constructor(perSecond: number) {
    if (perSecond === 0) {
      this.slice = messagesPerSlice;
      this.#everyMs = 0;
      return;
    }
    this.slice = perSecond < smoothRate ? 1 : Math.min(messagesPerSlice, Math.floor(perSecond / slicesPerSecond));
    this.#everyMs = 1_000 / Math.floor(perSecond / this.slice);
  }

  async wait(clock: Clock, signal: AbortSignal): Promise<void> {
    if (this.#everyMs === 0) return;
    for (let left = this.#next - clock.mono(); left > 0; left = this.#next - clock.mono()) {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      const wake = (): void => resolve(undefined);
      const cancel = clock.after(left, wake);
      signal.addEventListener("abort", wake);
      await promise;
      signal.removeEventListener("abort", wake);
      cancel();
      signal.throwIfAborted();
    }
    this.#next = clock.mono() + this.#everyMs;
  }
}
