// Which messages are meant: flags of every command that looks for some.
import { Flags } from "@oclif/core";
import type { DeadLetterReason, MessageFilter, MessageState } from "@fila/sdk/admin";
import { UsageError } from "./command-failure.ts";
import { pastTimeFlag } from "./flags.ts";

const states: MessageState[] = ["ready", "leased", "delayed", "deciding", "unreadable"];
const reasons: DeadLetterReason[] = ["max_attempts", "rejected", "hook", "ttl", "corrupt"];
const helpGroup = "FILTER";

export const filterFlags = {
  key: Flags.string({ description: "With this fairness key.", helpGroup }),
  header: Flags.string({ description: "With this header.", helpValue: "NAME[=VALUE]", helpGroup }),
  since: { ...pastTimeFlag("since", "Enqueued after it"), helpGroup },
  until: { ...pastTimeFlag("until", "Enqueued before it"), helpGroup },
  reason: Flags.custom<DeadLetterReason>({
    description: "Dead letters: why they are.",
    options: reasons,
    helpGroup,
  })(),
  error: Flags.string({ description: "Dead letters: a part of the last error.", helpValue: "TEXT", helpGroup }),
  id: Flags.string({
    description: "With this id; may be repeated.",
    multiple: true,
    multipleNonGreedy: true,
    helpGroup,
  }),
};

export const stateFlag = Flags.custom<MessageState>({
  description: "In this state; may be repeated.",
  options: states,
  multiple: true,
  multipleNonGreedy: true,
  helpGroup,
})();

export interface FilterValues {
  readonly state?: MessageState[] | undefined;
  readonly key: string | undefined;
  readonly header: string | undefined;
  readonly since: Date | undefined;
  readonly until: Date | undefined;
  readonly reason: DeadLetterReason | undefined;
  readonly error: string | undefined;
  readonly id: string[] | undefined;
}

/** Throws UsageError for a filter that says nothing: an empty shell variable must not mean every message. */
export function filterOf(flags: FilterValues): MessageFilter {
  for (const name of ["key", "header", "error", "id"] as const) {
    const given = flags[name];
    if (given === "" || (Array.isArray(given) && given.includes(""))) {
      throw new UsageError(`--${name} is empty; leave it out when it does not matter`);
    }
  }
  const { state: wanted, key, since, until, reason, error, id } = flags;
  return {
    states: wanted,
    fairnessKey: key,
    header: flags.header === undefined ? undefined : headerOf(flags.header),
    enqueuedAfter: since,
    enqueuedBefore: until,
    reason,
    errorContains: error,
    ids: id,
  };
}

function headerOf(text: string): { name: string; value?: string } {
  const at = text.indexOf("=");
  if (at < 0) return { name: text };
  const [name, value] = [text.slice(0, at), text.slice(at + 1)];
  if (name === "" || value === "") throw new UsageError(`--header ${JSON.stringify(text)}; give NAME or NAME=VALUE`);
  return { name, value };
}
