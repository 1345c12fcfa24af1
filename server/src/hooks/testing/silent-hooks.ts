// Hooks that take every script and never answer.
import { HookService } from "../service.ts";
import type { Hooks } from "../port.ts";
import { defaultBudgets } from "../script-engine.ts";

const link = () => ({ post: () => undefined, stop: () => Promise.resolve() });

class SilentHooks extends HookService {
  override check(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}

export function silentHooks(): Hooks {
  const clock = { mono: () => 0, wall: () => 0, after: () => () => undefined };
  const options = { clock, budgets: defaultBudgets, threshold: 3, cooldownMs: 10_000, openLink: link };
  return new SilentHooks({ ...options, openTrialLink: link, log: { warn: () => undefined } });
}
