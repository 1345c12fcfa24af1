// The effects of a durable turn reach producers and workers.
import type { Command } from "../../server/src/core/commands.ts";
import type { Delivery, Effect } from "../../server/src/core/effects.ts";
import { parseMessageId } from "../../server/src/core/message-id.ts";
import type { TurnUnderWay } from "./broker-process.ts";
import { expect } from "./failure.ts";
import type { World } from "./world.ts";

type Deliver = Extract<Effect, { type: "deliver" }>;

export class Release {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** @param bodies of the turn's deliveries, in order */
  release(turn: TurnUnderWay, bodies: readonly Uint8Array[]): void {
    const asked = new Map<number, Command>();
    for (const command of turn.commands) if ("request" in command) asked.set(command.request, command);
    let body = 0;
    for (const effect of turn.effects) {
      if (effect.type === "deliver") {
        this.#deliver(effect, bodies.slice(body, body + effect.deliveries.length));
        body += effect.deliveries.length;
      } else if (effect.type === "config-changed") this.#world.board.configChanged();
      else if (effect.type === "decide") this.#world.hooks.asked(effect);
      else if ("request" in effect) this.#answered(asked.get(effect.request), effect);
      else if (effect.type === "ended") this.#world.clients.streams.delete(effect.consumer);
      else if (effect.type === "lost") this.#world.clients.lost(effect.leases, this.#world.random);
      else if (effect.type === "opened") this.#world.coverage.adopted += effect.adopted.length;
    }
  }

  #deliver(effect: Deliver, bodies: readonly Uint8Array[]): void {
    const { trace, model, random, hostile } = this.#world;
    const unreadable = hostile && random.oneIn(150) ? this.#unreadable(effect) : [];
    for (const [at, delivery] of effect.deliveries.entries()) {
      trace.add(delivery.sequence);
      trace.add(delivery.token.low);
      trace.add(effect.consumer);
      if (unreadable.includes(delivery)) continue;
      const { clients, life } = this.#world;
      clients.delivered(delivery, clients.streams.get(effect.consumer), life);
      const message = model.find(delivery.queueNumber, delivery.sequence);
      const body = bodies[at] as Uint8Array;
      const same = message !== undefined && Buffer.compare(message.item.body, body) === 0;
      expect(same, () => `message ${delivery.id} is delivered with other bytes than it came with`);
    }
  }

  /** The disk has damaged the bytes of some: they are set aside, and the consumer never gets them. */
  #unreadable(effect: Deliver): readonly Delivery[] {
    const { random, mailbox, coverage } = this.#world;
    const { consumer, deliveries } = effect;
    const all = random.oneIn(2);
    const damaged = all ? deliveries : [random.pick(deliveries)];
    for (const { queueNumber, sequence } of damaged) mailbox.push({ type: "quarantine", queueNumber, sequence });
    const ordinals = damaged.map(({ ordinal }) => ordinal);
    mailbox.push({ type: "undelivered", consumer, ordinals, all: damaged.length === deliveries.length });
    coverage.quarantined += damaged.length;
    return damaged;
  }

  /** A purge is answered turns after its command. */
  #answered(command: Command | undefined, effect: Effect): void {
    this.#world.board.answered(effect);
    if (command !== undefined) this.#answer(command, effect);
  }

  #answer(command: Command, effect: Effect): void {
    const { clients, coverage, trace } = this.#world;
    if (command.type === "enqueue" && effect.type === "enqueued") {
      for (const outcome of effect.outcomes) {
        if (typeof outcome !== "string") continue;
        coverage.enqueued += 1;
        clients.enqueued(outcome);
        trace.add(parseMessageId(outcome)?.sequence ?? 0);
      }
    } else if (command.type === "settle" && effect.type === "settled") {
      for (const [at, outcome] of effect.outcomes.entries()) this.#settled(command, at, outcome);
    } else if (command.type === "delete-queue" && effect.type === "done") {
      coverage.queuesDeleted += 1;
    }
  }

  #settled(command: Extract<Command, { type: "settle" }>, at: number, outcome: unknown): void {
    const { clients, coverage, trace } = this.#world;
    const item = command.items[at];
    if (item === undefined) return;
    const done = typeof outcome !== "object";
    trace.add(done ? 1 : 2);
    if (!done) {
      coverage.leaseLost += 1;
      return;
    }
    if (item.action === "extend") {
      coverage.extensions += 1;
      return;
    }
    const firstTime = clients.settled(item);
    if (!firstTime) coverage.repeats += 1;
    else if (item.action === "ack") coverage.acks += 1;
    else if (item.action === "nack") coverage.nacks += 1;
    else coverage.releases += 1;
    if (firstTime && clients.isOfEarlierLife(item, this.#world.life)) coverage.acksOverRestart += 1;
    if (item.action === "ack") clients.ackAnswered(item.id);
  }
}
