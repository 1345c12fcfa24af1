// What operators do, at random: they pause, set keys, cancel, purge, redrive, search and configure, and hold what they are
// told against what is there.
import type { Outcome } from "../../server/src/broker/contract.ts";
import type { BrokerOperations } from "../../server/src/broker/operations/broker-operations.ts";
import type { RedriveOrder, SearchFilter } from "../../server/src/broker/operations-contract.ts";
import type { Command } from "../../server/src/core/commands.ts";
import { type ScanPlace, comparePlaces } from "../../server/src/core/scan.ts";
import { drawKey, idempotencyKeys, keyNames } from "./drawn.ts";
import { expect } from "./failure.ts";
import { isMovable } from "./model-redrive.ts";
import { passes } from "./model-operations.ts";
import type { ModelMessage, ModelQueue } from "./model-state.ts";
import type { Switchboard } from "./operations-host.ts";
import type { World } from "./world.ts";

const configKeys = ["throttle.t0", "throttle.t0", "throttle.t1", "throttle.t2", "other"] as const;
/** Long operations at a time. */
const mostRunning = 3;

/** A redrive, and what it has moved. */
interface Run {
  readonly order: RedriveOrder;
  readonly moved: Set<string>;
}

export class Operators {
  readonly #world: World;
  readonly #board: Switchboard;
  #running = 0;
  /** What comes some steps later. */
  #later: { readonly step: number; readonly command: Command }[] = [];
  /** Redrives that a crash has interrupted. */
  #interrupted: RedriveOrder[] = [];
  readonly #runs = new Set<Run>();
  /** The revision up to which a watch was told. */
  #watched = 0;
  #watching = false;
  /** A promise that an operation has found broken. */
  failed: Error | undefined;

  constructor(world: World, board: Switchboard) {
    this.#world = world;
    this.#board = board;
  }

  #send(command: Command): void {
    this.#world.mailbox.push(command);
  }

  #number(): number {
    return this.#world.number();
  }

  /** One thing happens. */
  act(): void {
    const { random, model } = this.#world;
    const queues = [...model.queuesByName.values()];
    if (queues.length === 0) return;
    const queue = random.pick(queues);
    const choice = random.below(100);
    const request = this.#number();
    if (!this.#watching) this.#watch();
    if (choice < 8) this.#pause(queue.name);
    else if (choice < 26) this.#setKey(queue.name);
    else if (choice < 44) this.#cancel(queue);
    else if (choice < 48) this.#send({ type: "purge", request, queue: queue.name });
    else if (choice < 66) this.#redriveSome();
    else if (choice < 78) this.#list(queue);
    else if (choice < 82) this.#listUses(queue);
    else if (choice < 88) this.#configure();
    else if (choice < 94) this.#releaseKey(queue.name);
    else if (choice < 97) {
      const after = random.oneIn(2) ? "" : random.pick(keyNames);
      this.#send({ type: "list-keys", request, queue: queue.name, after, limit: random.between(1, 9) });
    } else this.#send({ type: "describe-queue", request, queue: queue.name, maxKeys: 100 });
  }

  /** What was put off until now. */
  everyStep(): void {
    this.#board.timePasses();
    if (this.#later.length === 0) return;
    const { steps } = this.#world.coverage;
    for (const { step, command } of this.#later) if (step <= steps) this.#send(command);
    this.#later = this.#later.filter(({ step }) => step > steps);
  }

  #soon(command: Command): void {
    this.#later.push({ step: this.#world.coverage.steps + this.#world.random.between(10, 200), command });
  }

  #pause(name: string): void {
    this.#world.coverage.pauses += 1;
    this.#send({ type: "update-queue", request: this.#number(), name, settings: { paused: true } });
    this.#soon({ type: "update-queue", request: this.#number(), name, settings: { paused: false } });
  }

  #setKey(queue: string): void {
    const { random } = this.#world;
    const fairnessKey = drawKey(random);
    const set = (override: { weight?: number; paused?: boolean; maxInFlight?: number }): Command => {
      return { type: "set-key", request: this.#number(), queue, fairnessKey, override };
    };
    if (random.oneIn(2)) {
      this.#send(set({ paused: true }));
      this.#soon(set({ paused: false }));
    } else if (random.oneIn(3)) this.#send(set({ maxInFlight: random.below(4) }));
    else this.#send(set({ weight: random.oneIn(3) ? 0 : random.between(1, 8) }));
  }

  #cancel(queue: ModelQueue): void {
    const { random, model, clients } = this.#world;
    const some = random.oneIn(6) ? [...model.messages.values()] : [...queue.messages];
    if (some.length === 0) return;
    const held = clients.held.length > 0 && random.oneIn(8) ? random.pick(clients.held) : undefined;
    const id = held?.id ?? random.pick(some).id;
    this.#send({ type: "cancel", request: this.#number(), queue: held?.queue ?? queue.name, id });
  }

  #configure(): void {
    const { random } = this.#world;
    const key = random.pick(configKeys);
    if (random.oneIn(4)) this.#send({ type: "get-config", request: this.#number(), key });
    else {
      const limit = `${random.pick([0, 5, 40, 300])},${random.pick([0.5, 1, 3, 10, 10])}`;
      const value = random.oneIn(4) ? "" : key === "other" ? String(random.below(5)) : limit;
      this.#send({ type: "set-config", request: this.#number(), key, value });
      if (random.oneIn(2)) this.#configure();
    }
  }

  #releaseKey(queue: string): void {
    const { random } = this.#world;
    const living = this.#world.model.queuesByName.get(queue)?.uses.living(-Infinity) ?? [];
    const used = living.length === 0 ? undefined : random.pick(living);
    const key = idempotencyKeys.find(({ text }) => text === used?.key) ?? random.pick(idempotencyKeys);
    this.#send({ type: "release-key", request: this.#number(), queue, key });
    // Who frees a key means to use it again.
    if (random.oneIn(2)) this.#world.enqueueWith(queue, key);
  }

  /** Runs beside everything else. */
  #start(operation: (operations: BrokerOperations) => Promise<void>, asked: (request: number) => void): void {
    this.#running += 1;
    const { life } = this.#world;
    this.#board.stirred = true;
    operation(this.#board.operations(asked)).then(
      () => {
        if (life === this.#world.life) this.#running -= 1;
      },
      (error: unknown) => (this.failed ??= error instanceof Error ? error : new Error(String(error))),
    );
  }

  #drawFilter(queue: ModelQueue): SearchFilter {
    const { random } = this.#world;
    const ids = [...queue.messages].slice(0, random.between(1, 20)).map(({ id }) => id);
    const other = { enqueuedBefore: this.#world.wall - random.below(20_000) };
    return random.pick<SearchFilter>([
      {},
      {},
      { fairnessKey: drawKey(random) },
      { states: [random.pick(["ready", "delayed", "leased", "scheduled"] as const)] },
      { enqueuedAfter: this.#world.wall - random.below(20_000) },
      other,
      { body: isEven },
      { ids },
    ]);
  }

  /** Pages of a list: each message that is there all the time is shown exactly once. */
  #list(queue: ModelQueue): void {
    if (this.#running >= mostRunning) return;
    const { random, model, coverage } = this.#world;
    const filter = this.#drawFilter(queue);
    const limit = random.between(1, 30);
    const began = model.serial;
    this.#start(async (operations) => {
      const seen = new Set<string>();
      let last: ScanPlace | undefined;
      for (let after: ScanPlace | undefined, first = true; first || after !== undefined; first = false) {
        const page = await operations.listMessages({ queue: queue.name, filter, after, limit, withBodies: false });
        if (!page.ok) return;
        for (const { view } of page.value.messages) {
          expect(last === undefined || comparePlaces(last, view) < 0, () => `${view.id} is listed out of order`);
          last = view;
          seen.add(view.id);
        }
        after = page.value.next;
      }
      if (queue.dead) return;
      for (const message of queue.messages) {
        if (message.touched > began || !this.#matches(message, filter)) continue;
        expect(seen.has(message.id), () => `${message.name} was there all the time and is not listed`);
        coverage.listed += 1;
      }
      coverage.lists += 1;
    }, ignore);
  }

  #matches(message: ModelMessage, filter: SearchFilter): boolean {
    const { ids, body, reason, errorContains, states } = filter;
    // Whether it is ready by now cannot be told.
    if (states !== undefined && message.woken === "maybe") return false;
    return (
      passes(message, filter) &&
      (ids === undefined || ids.includes(message.id)) &&
      (body === undefined || (!message.quarantined && body(message.item.body))) &&
      (reason === undefined || message.failure?.reason === reason) &&
      (errorContains === undefined || (message.failure?.error.includes(errorContains) ?? false))
    );
  }

  #listUses(queue: ModelQueue): void {
    if (this.#running >= mostRunning) return;
    const { random, model, coverage } = this.#world;
    const due = queue.uses.living(model.steady(this.#world));
    const limit = random.between(1, 6);
    this.#start(async (operations) => {
      const shown = new Map<string, string>();
      for (let after: { commit: number; index: number } | undefined, first = true; first || after !== undefined;) {
        first = false;
        const page = await operations.listIdempotencyKeys(queue.name, after, limit);
        if (!page.ok) return;
        for (const { key, messageId } of page.value.uses) shown.set(key, messageId);
        after = page.value.next;
      }
      if (queue.dead) return;
      const steady = model.steady(this.#world);
      for (const use of due) {
        if (use.released || use.at <= steady) continue;
        expect(
          shown.get(use.key) === use.id,
          () => `key ${use.key} of ${queue.name} is shown as ${shown.get(use.key)}`,
        );
      }
      coverage.usesListed += 1;
    }, ignore);
  }

  /** A watch of the configuration that never ends, but for crashes; it goes on from what it was told. */
  #watch(): void {
    this.#watching = true;
    const { life, model, coverage } = this.#world;
    this.#start(async (operations) => {
      for await (const batch of operations.watchConfig(this.#watched, new AbortController().signal)) {
        if (!batch.ok) break;
        const { changes, revision } = batch.value;
        model.config.checkTold(this.#watched, changes);
        expect(revision === this.#watched + changes.length, () => `a watch is told of revision ${revision}`);
        this.#watched = revision;
        coverage.configChanges += changes.length;
      }
      if (life === this.#world.life) this.#watching = false;
    }, ignore);
    // It takes nobody's place.
    this.#running -= 1;
  }

  #drawOrder(queue: ModelQueue): RedriveOrder {
    const { random } = this.#world;
    const filter = random.pick<() => SearchFilter>([
      () => this.#drawFilter(queue),
      () => ({ reason: random.pick(["max_attempts", "rejected", "ttl"] as const) }),
      () => ({ errorContains: String(random.below(10)) }),
    ])();
    const count = random.oneIn(4) ? random.between(1, 10) : 0;
    const ratePerSecond = random.oneIn(3) ? random.between(1, 300) : 0;
    return { queue: queue.name, filter, count, dryRun: random.oneIn(6), ratePerSecond };
  }

  #redriveSome(): void {
    const { random, model } = this.#world;
    if (this.#running >= mostRunning) return;
    const again = this.#interrupted.pop();
    if (again !== undefined) {
      this.#world.coverage.redrivesAgain += 1;
      this.#redrive(again);
      return;
    }
    const queues = [...model.queuesByName.values()].filter(({ isDeadLetterQueue }) => isDeadLetterQueue);
    if (queues.length > 0) this.#redrive(this.#drawOrder(random.pick(queues)));
  }

  #redrive(order: RedriveOrder): void {
    const { model, coverage } = this.#world;
    const queue = model.queuesByName.get(order.queue);
    const began = model.serial;
    const run: Run = { order, moved: new Set() };
    this.#runs.add(run);
    const requests: number[] = [];
    this.#start(
      async (operations) => {
        const outcome = await operations.redrive(order, ignore, new AbortController().signal);
        this.#runs.delete(run);
        this.#collect(run, requests);
        if (!outcome.ok || order.dryRun) return;
        const { redriven } = outcome.value;
        expect(redriven === run.moved.size, () => `a redrive tells of ${redriven}, it has moved ${run.moved.size}`);
        coverage.redrives += 1;
        if (order.count > 0 || queue === undefined || queue.dead) return;
        for (const message of queue.messages) {
          if (message.touched > began || !isMovable(message) || !this.#matches(message, order.filter)) continue;
          expect(false, () => `${message.name} lay there all the time and was not redriven`);
        }
      },
      (request) => {
        this.#collect(run, requests);
        requests.push(request);
      },
    );
  }

  /** What the run's requests have moved by now. */
  #collect({ order, moved }: Run, requests: number[]): void {
    const { model } = this.#world;
    for (const request of requests.splice(0)) {
      for (const message of model.redriven.get(request) ?? []) {
        expect(!moved.has(message.id), () => `${message.name} is redriven twice by one run`);
        moved.add(message.id);
        const { fairnessKey, ids } = order.filter;
        const wanted = (fairnessKey ?? message.key.name) === message.key.name && (ids?.includes(message.id) ?? true);
        expect(wanted, () => `${message.name} is redriven, though nobody asked for it`);
      }
      model.redriven.delete(request);
    }
    expect(order.count === 0 || moved.size <= order.count, () => `${moved.size} redriven, ${order.count} were wanted`);
  }

  /** kill -9: whoever waited for an answer waits no more. */
  killed(): void {
    this.#board.killed();
    for (const { order } of this.#runs) if (this.#interrupted.length < 3) this.#interrupted.push(order);
    this.#runs.clear();
    this.#world.model.redriven.clear();
    this.#running = 0;
    this.#watching = false;
  }

  /** Everything that is held goes on. */
  letGo(): void {
    const { model } = this.#world;
    // Limits stay, as wide as the world is when it drains: what a closed stream held takes tokens once more.
    for (const name of ["t0", "t1", "t2"]) {
      if (model.throttles.limitOf(name) === undefined) continue;
      this.#send({ type: "set-config", request: this.#number(), key: `throttle.${name}`, value: "1000,100" });
    }
    this.#later = [];
    for (const { name, overrides, settings } of model.queuesByName.values()) {
      const request = this.#number();
      if (settings.paused) this.#send({ type: "update-queue", request, name, settings: { paused: false } });
      for (const fairnessKey of overrides.keys()) {
        const override = { paused: false };
        this.#send({ type: "set-key", request: this.#number(), queue: name, fairnessKey, override });
      }
    }
  }

  /**
   * With nobody else at work: a redrive moves exactly what its dry run counted; killed in between and started again it moves
   * the rest, nothing twice and nothing lost.
   */
  async redriveAll(kill: () => void): Promise<void> {
    const { random, model, coverage } = this.#world;
    for (const { name } of [...model.queuesByName.values()]) {
      const queue = model.queuesByName.get(name);
      if (queue?.isDeadLetterQueue !== true || !model.queuesByName.has(name.slice(0, -".dlq".length))) continue;
      const order = { ...this.#drawOrder(queue), count: 0, ratePerSecond: 0 };
      // Of a state that nobody can tell there is no count.
      if (order.filter.states !== undefined && [...queue.messages].some(({ woken }) => woken === "maybe")) continue;
      const due = [...queue.messages].filter((each) => isMovable(each) && this.#matches(each, order.filter));
      const counted = await this.#complete(order, true);
      expect(counted === due.length, () => `a dry run counts ${counted} of ${due.length}`);
      // Time passes with a crash, and states with it.
      const crash = due.length > 1 && order.filter.states === undefined && random.oneIn(2);
      if (crash) {
        void this.#complete(order, false);
        for (let turns = random.between(1, 6); turns > 0; turns -= 1) await this.#world.oneTurn();
        kill();
        coverage.redrivesKilled += 1;
      }
      const moved = await this.#complete(order, false);
      expect(crash || moved === counted, () => `a redrive moves ${moved}, its dry run counted ${counted}`);
      for (const message of due) {
        const left = message.queue === queue && model.find(message.origin, message.sequence) === message;
        expect(!left, () => `${message.name} is not redriven`);
      }
    }
  }

  /** Until it is answered. @returns how many it counted or moved */
  async #complete(order: RedriveOrder, dryRun: boolean): Promise<number> {
    let outcome: Outcome<{ readonly redriven: number }> | undefined;
    const { life } = this.#world;
    this.#start(async (operations) => {
      outcome = await operations.redrive({ ...order, dryRun }, ignore, new AbortController().signal);
    }, ignore);
    for (let turns = 0; outcome === undefined && life === this.#world.life; turns += 1) {
      expect(turns < 10_000, () => "a redrive does not end");
      await this.#world.oneTurn();
    }
    return outcome?.ok === true ? outcome.value.redriven : 0;
  }
}

function isEven(body: Uint8Array): boolean {
  return (body[0] as number) % 2 === 0;
}

function ignore(): void {
  // Nobody asks.
}
