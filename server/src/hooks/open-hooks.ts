// The one way to running hooks.
import { openInThread } from "./in-thread-link.ts";
import { lua } from "./lua.ts";
import type { HookObserver, Hooks } from "./port.ts";
import type { HookClock, OpenLink } from "./runner-link.ts";
import type { EngineFactory } from "./runner.ts";
import { defaultBudgets } from "./script-engine.ts";
import { HookService, type HookServiceOptions } from "./service.ts";
import { openThread } from "./thread-link.ts";

export interface HooksOptions {
  /** "worker": a thread of its own, with a spare one and a watchdog. "main": the thread of the caller. Default: "main". */
  readonly thread?: "worker" | "main";
  /** Instructions and library steps of one call; default 100,000. */
  readonly steps?: number;
  /** Bytes that one call allocates; default 1 MiB. */
  readonly bytes?: number;
  /** Failures in a row that open the breaker; default 3. */
  readonly threshold?: number;
  /** For how long it is open; default 10,000. */
  readonly cooldownMs?: number;
  readonly clock?: HookClock;
  readonly log?: HookServiceOptions["log"];
  readonly observer?: HookObserver | undefined;
  /** The engine of the caller's thread, and the program of the other one; default: Lua. */
  readonly engine?: EngineFactory;
  readonly program?: URL;
}

const systemClock: HookClock = {
  mono: () => performance.now(),
  wall: () => Date.now(),
  after: (ms, fire) => {
    const timer = setTimeout(fire, Math.ceil(ms));
    return () => clearTimeout(timer);
  },
};

export function openHooks(options: HooksOptions = {}): Hooks {
  const { thread = "main", clock = systemClock, engine = lua, program = luaProgram() } = options;
  const { steps = defaultBudgets.steps, bytes = defaultBudgets.bytes } = options;
  const budgets = { ...defaultBudgets, steps, bytes };
  const open = (spare: boolean): OpenLink =>
    thread === "worker"
      ? openThread({ entry: program, budgets, clock, spare })
      : openInThread({ engine, budgets, clock });
  return new HookService({
    clock,
    budgets,
    threshold: options.threshold ?? 3,
    cooldownMs: options.cooldownMs ?? 10_000,
    openLink: open(true),
    openTrialLink: open(false),
    log: options.log ?? { warn: () => undefined },
    observer: options.observer,
  });
}

/** Beside this file; in the bundle, where all code lies in one folder, its entry is, too. */
function luaProgram(): URL {
  const extension = import.meta.url.endsWith(".ts") ? "ts" : "js";
  return new URL(`./hook-thread.${extension}`, import.meta.url);
}
