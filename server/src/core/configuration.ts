// The commands of run-time configuration.
import type { Command } from "./commands.ts";
import type { State } from "./state.ts";
import type { Turn } from "./turn.ts";

type ConfigCommand = Extract<Command, { type: "set-config" | "get-config" | "list-config" | "config-changes" }>;

export function configure({ config, throttles }: State, turn: Turn, command: ConfigCommand): void {
  const { request } = command;
  switch (command.type) {
    case "set-config": {
      const change = config.set(command.key, command.value);
      if (change !== undefined && "reason" in change) {
        turn.effects.push({ type: "failed", request, failure: change });
        return;
      }
      if (change !== undefined) {
        throttles.configured(change.key, change.value, turn.now.mono);
        turn.mutations.push({ type: "config-set", ...change });
        turn.effects.push({ type: "config-changed", revision: change.revision });
      }
      turn.effects.push({ type: "done", request });
      return;
    }
    case "get-config": {
      const { revision } = config;
      turn.effects.push({ type: "config-value", request, value: config.values.get(command.key) ?? "", revision });
      return;
    }
    case "list-config": {
      const page = config.list(command.prefix, command.after, command.limit);
      turn.effects.push({ type: "config-entries", request, ...page, revision: config.revision });
      return;
    }
    case "config-changes": {
      const changes = config.changesAfter(command.after, command.limit);
      turn.effects.push(
        "reason" in changes
          ? { type: "failed", request, failure: changes }
          : { type: "config-changes", request, changes },
      );
    }
  }
}
