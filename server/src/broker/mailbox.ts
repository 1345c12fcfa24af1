// Commands that wait for their turn. Bounded: producers are refused when too much waits; everything else is small and
// bounded by the number of streams.
import type { Command } from "../core/commands.ts";

/** What one turn takes at most, so that no turn is long and no commit large. */
export const maxTurnMessages = 4_096;
export const maxTurnBytes = 4 * 1_048_576;
const maxTurnCommands = 16_384;
/** What a walk over keys, queues or rows of the table counts as: up to tens of milliseconds, so that few share a turn. */
const walkMessages = 1_024;
const walks: ReadonlySet<Command["type"]> = new Set([
  "queue-stats",
  "list-queues",
  "list-keys",
  "describe-queue",
  "list-config",
  "scan",
  "explain",
]);
/** What a message without any bytes counts as: it takes memory while it waits, and room in the commit. */
const messageOverhead = 32;
/** Bytes of messages that may wait; beyond, an enqueue is refused with OVERLOADED. */
export const maxWaitingBytes = 64 * 1_048_576;

export class Mailbox {
  #commands: Command[] = [];
  #from = 0;
  #bytes = 0;

  get size(): number {
    return this.#commands.length - this.#from;
  }

  get waitingBytes(): number {
    return this.#bytes;
  }

  add(command: Command): void {
    this.#commands.push(command);
    if (command.type === "enqueue") this.#bytes += bytesOf(command);
  }

  /** The commands of one turn, at least one if there are any. */
  take(): Command[] {
    const commands = this.#commands;
    let messages = 0;
    let bytes = 0;
    let at = this.#from;
    while (at < commands.length && at - this.#from < maxTurnCommands) {
      const command = commands[at] as Command;
      if (command.type === "enqueue") {
        messages += command.items.length;
        bytes += bytesOf(command);
        if (at > this.#from && (messages > maxTurnMessages || bytes > maxTurnBytes)) {
          bytes -= bytesOf(command);
          break;
        }
      } else messages += messagesOf(command);
      at += 1;
      if (messages >= maxTurnMessages) break;
    }
    this.#bytes -= bytes;
    const taken = commands.slice(this.#from, at);
    if (at === commands.length) {
      this.#commands = [];
      this.#from = 0;
    } else this.#from = at;
    return taken;
  }

  /** All that waits, for good. */
  clear(): Command[] {
    const left = this.#commands.slice(this.#from);
    this.#commands = [];
    this.#from = 0;
    this.#bytes = 0;
    return left;
  }
}

/** How many messages the work of the command counts as. */
function messagesOf(command: Exclude<Command, { type: "enqueue" }>): number {
  switch (command.type) {
    case "settle":
      return command.items.length;
    case "redrive":
      return command.messages.length;
    case "get-messages":
      return command.ids.length;
    case "find-uses":
      return command.uses.length;
    default:
      return walks.has(command.type) ? walkMessages : 0;
  }
}

function bytesOf(command: Extract<Command, { type: "enqueue" }>): number {
  let bytes = 0;
  for (const { body, fairnessKey, throttleKeys, idempotencyKey } of command.items) {
    bytes += body.byteLength + fairnessKey.length + messageOverhead;
    if (idempotencyKey !== undefined) bytes += idempotencyKey.text.length + messageOverhead;
    for (const key of throttleKeys) bytes += key.length;
  }
  return bytes;
}
