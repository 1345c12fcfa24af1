// Commands that wait for their turn. Bounded: producers are refused when too much waits; everything else is small and
// bounded by the number of streams.
import type { Command } from "../core/commands.ts";

/** What one turn takes at most, so that no turn is long and no commit large. */
export const maxTurnMessages = 4_096;
export const maxTurnBytes = 4 * 1_048_576;
const maxTurnCommands = 16_384;
/** What a walk over all keys or queues counts as: up to tens of milliseconds, so that few share a turn. */
const walkMessages = 1_024;
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
      } else if (command.type === "settle") messages += command.items.length;
      else if (command.type === "queue-stats" || command.type === "list-queues") messages += walkMessages;
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

function bytesOf(command: Extract<Command, { type: "enqueue" }>): number {
  let bytes = 0;
  for (const { body, fairnessKey, throttleKeys } of command.items) {
    bytes += body.byteLength + fairnessKey.length + messageOverhead;
    for (const key of throttleKeys) bytes += key.length;
  }
  return bytes;
}
