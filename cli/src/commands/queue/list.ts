import { Flags } from "@oclif/core";
import type { QueueSummary } from "@fila/sdk/admin";
import { ClientCommand } from "../../client-command.ts";
import { deadLettersOf, isDeadLetterQueue } from "../../queue-flags.ts";
import type { Column, Row } from "../../table.ts";

const columns: readonly Column[] = [
  { heading: "QUEUE", flexible: true },
  { heading: "     DEPTH", right: true },
  { heading: " IN FLIGHT", right: true },
  { heading: " CONSUMERS", right: true },
  { heading: "DEAD LETTERS", right: true },
];

export default class QueueList extends ClientCommand {
  static override summary = "List the queues, and how many dead letters each has.";

  static override description =
    "A dead-letter queue is a column of its queue; --all lists it as a queue of its own too. With --json: one object per " +
    "queue and line, dead-letter queues too.";

  static override examples = ["<%= config.bin %> queue list", "<%= config.bin %> queue list --json"];
  static override flags = {
    all: Flags.boolean({ description: "List dead-letter queues too.", default: false }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(QueueList);
    await using fila = await this.client(flags.addr);
    const queues = await Array.fromAsync(fila.admin.listQueues());
    if (flags.json) for (const queue of queues) this.printJson(queue);
    else if (queues.length === 0) this.tell('There are no queues; create one with "fila queue create NAME".');
    else await this.printTable(columns, rows(queues, flags.all));
  }
}

/** A dead-letter queue whose queue is gone has a row in any case. */
function* rows(queues: readonly QueueSummary[], all: boolean): Generator<Row> {
  const depths = new Map(queues.map(({ name, depth }) => [name, depth]));
  for (const { name, depth, inFlight, activeConsumers } of queues) {
    const isDead = isDeadLetterQueue(name);
    if (isDead && !all && depths.has(name.slice(0, -".dlq".length))) continue;
    const dead = isDead ? undefined : depths.get(deadLettersOf(name));
    yield {
      cells: [name, String(depth), String(inFlight), String(activeConsumers), dead === undefined ? "-" : String(dead)],
    };
  }
}
