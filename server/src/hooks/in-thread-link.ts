// A runner in this very thread, for tests and for machines with one core: one slice with each round of the event loop.
import type { HookClock, RunnerEvents, RunnerLink } from "./runner-link.ts";
import type { ToRunner } from "./protocol.ts";
import { type EngineFactory, Runner } from "./runner.ts";
import type { Budgets } from "./script-engine.ts";

export interface InThreadOptions {
  readonly engine: EngineFactory;
  readonly budgets: Budgets;
  readonly clock: HookClock;
}

export function openInThread({ engine, budgets, clock }: InThreadOptions): (events: RunnerEvents) => RunnerLink {
  return (events) => {
    let scheduled: NodeJS.Immediate | undefined;
    const runner = new Runner(engine, budgets, {
      tell: (message) => {
        if (message.type !== "ready") events.told(message);
      },
      begins: () => undefined,
      wall: () => clock.wall(),
      mono: () => clock.mono(),
      random: Math.random,
    });
    /** Checks and trials, which are done one a round. */
    const asides: ToRunner[] = [];
    const round = (): void => {
      scheduled = undefined;
      const aside = asides.shift();
      if (aside !== undefined) runner.receive(aside);
      if (runner.slice() || asides.length > 0) schedule();
    };
    const schedule = (): void => {
      scheduled ??= setImmediate(round);
    };
    return {
      post: (message) => {
        if (message.type === "check" || message.type === "try") asides.push(message);
        else runner.receive(message);
        schedule();
      },
      stop: () => {
        clearImmediate(scheduled);
        return Promise.resolve();
      },
    };
  };
}
