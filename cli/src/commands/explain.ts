import { Args, Flags } from "@oclif/core";
import type { Admin, Explanation, ExplainSubject } from "@fila/sdk/admin";
import { ClientCommand } from "../client-command.ts";
import { UsageError } from "../command-failure.ts";
import { printable } from "../printable.ts";
import { remedyOf } from "../remedies.ts";

const messageId = /^[\da-f]{8}-[\da-f]{4}-[\da-f]{4}-[\da-f]{4}-[\da-f]{12}$/i;

export default class Explain extends ClientCommand {
  static override summary = "Say why a message, or the next one of a key, is not being delivered right now.";

  static override description =
    "The first thing that holds it, and what can be done about it. Without the name of its queue, a message is looked for " +
    "in every queue.";

  static override examples = [
    "<%= config.bin %> explain emails 01a1ff1d-8f11-7000-800c-000000000406",
    "<%= config.bin %> explain 01a1ff1d-8f11-7000-800c-000000000406",
    "<%= config.bin %> explain emails --key tenant-42",
  ];

  static override usage = ["explain [QUEUE] ID", "explain QUEUE --key KEY"];

  static override args = {
    queue: Args.string({ description: "Name of the queue, or the id alone.", required: true, ignoreStdin: true }),
    id: Args.string({ description: "Id of the message.", ignoreStdin: true }),
  };

  static override flags = { key: Flags.string({ description: "Explain the next message of this fairness key." }) };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Explain);
    const { queue, id } = args;
    const { key } = flags;
    const alone = id === undefined && key === undefined;
    if (id !== undefined && key !== undefined) throw new UsageError("give the id of a message or --key, not both");
    if (alone && !messageId.test(queue)) {
      throw new UsageError(`there is nothing to explain; give the id of a message behind "${queue}", or --key`);
    }
    await using fila = await this.client(flags.addr);
    const subject: ExplainSubject = key === undefined ? { messageId: id ?? queue } : { fairnessKey: key };
    const found = alone
      ? await inAnyQueue(fila.admin, queue)
      : { queue, explanation: await fila.admin.explain(queue, subject) };
    const { text, ...explanation } = found.explanation;
    const remedy = remedyOf(found.queue, subject, found.explanation);
    if (flags.json) {
      this.printJson({ queue: found.queue, ...subject, ...explanation, text, remedy });
      return;
    }
    if (alone && found.queue !== undefined) this.log(`It is in queue "${found.queue}".`);
    this.log(sentence(text));
    if (remedy !== undefined) this.log(sentence(remedy));
  }
}

interface Found {
  readonly queue: string | undefined;
  readonly explanation: Explanation;
}

async function inAnyQueue(admin: Admin, id: string): Promise<Found> {
  for await (const { name } of admin.listQueues()) {
    const explanation = await admin.explain(name, { messageId: id });
    // A dead letter is told by its queue too, and lies in the dead-letter queue.
    if (explanation.reason === "dead_lettered") return { queue: explanation.queue, explanation };
    if (explanation.reason !== "unknown") return { queue: name, explanation };
  }
  const text = "no queue has such a message: it was never there, or it is settled, cancelled, purged or expired";
  return { queue: undefined, explanation: { reason: "unknown", text } };
}

function sentence(text: string): string {
  const plain = printable(text);
  return `${plain.charAt(0).toUpperCase()}${plain.slice(1)}${/[.?!]$/.test(plain) ? "" : "."}`;
}
