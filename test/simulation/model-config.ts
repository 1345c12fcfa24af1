// The configuration: every change has the next revision, and what changes nothing is no change.
import type { Command } from "../../server/src/core/commands.ts";
import type { ConfigChange } from "../../server/src/core/runtime-config.ts";
import { expect, fail } from "./failure.ts";
import type { Model } from "./model.ts";
import type { TurnReader } from "./turn-reader.ts";

type ConfigCommand = Extract<Command, { type: "set-config" | "get-config" | "list-config" | "config-changes" }>;

export class ModelConfig {
  readonly values = new Map<string, string>();
  /** All that ever were; the first one has revision 1. */
  readonly changes: ConfigChange[] = [];

  get revision(): number {
    return this.changes.length;
  }

  set({ revision, key, value }: ConfigChange): void {
    expect(revision === this.revision + 1, () => `a change of revision ${revision} after ${this.revision}`);
    this.changes.push({ revision, key, value });
    if (value === "") this.values.delete(key);
    else this.values.set(key, value);
  }

  /** Whoever watches is told these. */
  checkTold(after: number, changes: readonly ConfigChange[]): void {
    for (const [at, { revision, key, value }] of changes.entries()) {
      const due = this.changes[after + at];
      const right = due?.revision === revision && due.key === key && due.value === value;
      expect(right, () => `a watch from ${after} is told of revision ${revision}, ${key} = ${value}`);
    }
  }
}

export function checkConfig({ config, throttles }: Model, reader: TurnReader, command: ConfigCommand): void {
  switch (command.type) {
    case "set-config": {
      const { key, value } = command;
      if ((config.values.get(key) ?? "") !== value) {
        const change = reader.mutation("config-set");
        expect(change.key === key && change.value === value, () => `${key} is set to ${change.key} = ${change.value}`);
        config.set(change);
        throttles.changed(key, reader.turn.now.mono);
        expect(reader.effect("config-changed").revision === config.revision, () => "watches hear another revision");
      }
      reader.effect("done");
      return;
    }
    case "get-config": {
      const { value, revision } = reader.effect("config-value");
      const right = value === (config.values.get(command.key) ?? "") && revision === config.revision;
      expect(right, () => `${command.key} is ${value} at revision ${revision}`);
      return;
    }
    case "config-changes": {
      const { changes } = reader.effect("config-changes");
      config.checkTold(command.after, changes);
      const due = Math.min(command.limit, config.revision - command.after);
      expect(changes.length === due, () => `${changes.length} changes after ${command.after}, ${due} were due`);
      return;
    }
    case "list-config":
      fail("the world lists no configuration");
  }
}
