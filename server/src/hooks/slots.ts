// Which hooks there are, by queue.
import type { BreakerOptions } from "./breaker.ts";
import type { HookedQueue, HookName, HookReading } from "./port.ts";
import { HookSlot } from "./slot.ts";

interface QueueHooks {
  readonly number: number;
  readonly name: string;
  readonly on_enqueue: HookSlot;
  readonly on_failure: HookSlot;
}

export class Slots {
  readonly #breakers: BreakerOptions;
  readonly #byNumber = new Map<number, QueueHooks>();
  readonly #byName = new Map<string, QueueHooks>();
  /** Queues whose messages go through a script, or must wait behind some that do. */
  readonly #taken = new Set<string>();
  #nextSlot = 1;

  constructor({ threshold, cooldownMs }: BreakerOptions) {
    this.#breakers = { threshold, cooldownMs };
  }

  takes(queue: string): boolean {
    return this.#taken.size > 0 && this.#taken.has(queue);
  }

  get(queue: string, hook: HookName): HookSlot | undefined {
    return this.#byName.get(queue)?.[hook];
  }

  *all(): Iterable<HookSlot> {
    for (const { on_enqueue, on_failure } of this.#byNumber.values()) {
      yield on_enqueue;
      yield on_failure;
    }
  }

  numbers(): Set<number> {
    return new Set(this.#byNumber.keys());
  }

  /** The queue as it is from now on; gives the hooks whose script is another one. */
  set({ number, name, settings }: HookedQueue): HookSlot[] {
    const { onEnqueueScript, onFailureScript, onHookError, hooksSeePayload } = settings;
    const { provenOnEnqueue, provenOnFailure } = settings;
    let hooks = this.#byNumber.get(number);
    if (hooks === undefined) {
      if (onEnqueueScript === "" && onFailureScript === "") return [];
      hooks = this.#add(number, name);
    }
    const { on_enqueue: enqueue, on_failure: failure } = hooks;
    enqueue.seesPayload = hooksSeePayload;
    const changed: HookSlot[] = [];
    const { current, before } = provenOnEnqueue;
    if (enqueue.set({ source: onEnqueueScript, lastGood: before, worked: current }, onHookError)) changed.push(enqueue);
    const { current: worked, before: lastGood } = provenOnFailure;
    if (failure.set({ source: onFailureScript, lastGood, worked }, onHookError)) changed.push(failure);
    if (enqueue.hasScript) this.#taken.add(name);
    else this.retire(enqueue);
    return changed;
  }

  #add(number: number, name: string): QueueHooks {
    const slot = (hook: HookName): HookSlot => {
      const made = new HookSlot(this.#nextSlot, number, name, hook, this.#breakers);
      this.#nextSlot += 1;
      return made;
    };
    const hooks = { number, name, on_enqueue: slot("on_enqueue"), on_failure: slot("on_failure") };
    this.#byNumber.set(number, hooks);
    this.#byName.set(name, hooks);
    return hooks;
  }

  delete(queueNumber: number): HookSlot[] {
    const hooks = this.#byNumber.get(queueNumber);
    if (hooks === undefined) return [];
    this.#byNumber.delete(queueNumber);
    if (this.#byName.get(hooks.name) === hooks) {
      this.#byName.delete(hooks.name);
      this.#taken.delete(hooks.name);
    }
    return [hooks.on_enqueue, hooks.on_failure];
  }

  /** Of a script that was taken away, nothing waits any more: messages need not queue up behind any. */
  retire(slot: HookSlot): void {
    if (slot.hook !== "on_enqueue" || slot.hasScript || !slot.idle) return;
    if (this.get(slot.queue, "on_enqueue") === slot) this.#taken.delete(slot.queue);
  }

  read(mono: number): HookReading {
    let waiting = 0;
    let openBreakers = 0;
    for (const slot of this.all()) {
      waiting += slot.waiting.size + slot.posted;
      if (slot.breaker.stateAt(mono) !== "closed") openBreakers += 1;
    }
    return { waiting, openBreakers };
  }
}
