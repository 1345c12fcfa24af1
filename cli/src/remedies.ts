// What can be done about a message that is not delivered.
import type { ExplainSubject, Explanation } from "@fila/sdk/admin";
import { shellWord } from "./printable.ts";

/** A sentence with the command to copy; undefined: nothing is to be done. */
export function remedyOf(queue: string | undefined, about: ExplainSubject, explained: Explanation): string | undefined {
  const id = "messageId" in about ? about.messageId : undefined;
  const name = shellWord(queue ?? "");
  const cancel = id === undefined ? "" : `; "fila cancel ${name} ${id}" removes it`;
  switch (explained.reason) {
    case "unknown":
      if (queue === undefined) return undefined;
      return id === undefined
        ? `"fila search ${name} --key ${shellWord(keyOf(about))}" shows what the key has`
        : `"fila explain ${id}" looks for it in every queue`;
    case "leased":
      return `it comes again if its lease ends without an ack${cancel}`;
    case "delayed":
      return `it comes by itself then${cancel}`;
    case "deciding":
      return "it goes on by itself within a second";
    case "dead_lettered": {
      const dlq = shellWord(explained.queue);
      return id === undefined
        ? undefined
        : `"fila get ${dlq} ${id}" shows it, "fila redrive ${dlq} --id ${id}" sends it back`;
    }
    case "unreadable":
      return id === undefined
        ? undefined
        : `look into the broker's log and disk; "fila cancel ${name} ${id}" removes it`;
    case "queue_paused":
      return `"fila resume ${name}" goes on`;
    case "key_paused":
      return `"fila resume ${name} --key ${shellWord(explained.fairnessKey)}" goes on`;
    case "no_consumer":
      return `"fila consume ${name}" is one`;
    case "no_credit":
      return noCredit(explained);
    case "not_its_turn":
      return explained.keysAhead > 0
        ? `more workers shorten the wait; "fila key set ${name} KEY --weight N" gives its key a larger share`
        : "more workers shorten the wait; messages of one key are delivered in order";
    case "throttled":
      return `"fila config set throttle.${shellWord(explained.throttleKey)} RATE,BURST" changes the limit`;
    case "concurrency_full":
      return explained.fairnessKey === undefined
        ? `"fila queue update ${name} --max-in-flight N" changes the cap`
        : `"fila key set ${name} ${shellWord(explained.fairnessKey)} --max-in-flight N" changes the cap`;
    case "other":
      return undefined;
  }
}

function noCredit(explained: Extract<Explanation, { reason: "no_credit" }>): string {
  if (explained.withoutCredit + explained.full > 0) return "they are busy: add workers, or give them more concurrency";
  if (explained.notReading > 0) return "look whether they hang, and restart them";
  return "they are being stopped: start others";
}

function keyOf(about: ExplainSubject): string {
  return "fairnessKey" in about ? about.fairnessKey : "";
}
