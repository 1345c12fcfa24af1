import { ClientCommand } from "../../client-command.ts";

export default class QueueList extends ClientCommand {
  static override summary = "List the queues.";
  static override description = "With --json: one object per queue and line.";
  static override examples = ["<%= config.bin %> queue list", "<%= config.bin %> queue list --json"];

  async run(): Promise<void> {
    const { flags } = await this.parse(QueueList);
    await using fila = await this.client(flags.addr);
    const queues = await Array.fromAsync(fila.admin.listQueues());
    if (flags.json) {
      for (const queue of queues) this.printJson(queue);
      return;
    }
    if (queues.length === 0) this.tell('There are no queues; create one with "fila queue create NAME".');
    const width = Math.max(5, ...queues.map(({ name }) => name.length));
    if (queues.length > 0) this.log(row("QUEUE".padEnd(width), "DEPTH", "IN FLIGHT", "CONSUMERS"));
    for (const { name, depth, inFlight, activeConsumers } of queues) {
      this.log(row(name.padEnd(width), String(depth), String(inFlight), String(activeConsumers)));
    }
  }
}

function row(name: string, ...numbers: string[]): string {
  return [name, ...numbers.map((number) => number.padStart(10))].join("  ");
}
