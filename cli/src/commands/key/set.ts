import { Args, Flags } from "@oclif/core";
import { ClientCommand } from "../../client-command.ts";
import { UsageError } from "../../command-failure.ts";
import { queueArg } from "../../flags.ts";
import { printable } from "../../printable.ts";
import { capFlag } from "../../queue-flags.ts";

export default class KeySet extends ClientCommand {
  static override summary = "Give a fairness key a weight, a cap or a pause of its own.";
  static override description =
    "They stand before what the key's messages and the queue say, whether or not it has messages, and over restarts. " +
    "--weight 0 gives the weight back to the messages, --max-in-flight 0 the cap back to the queue. fila queue inspect shows which keys have settings of their own.";
  static override examples = [
    "<%= config.bin %> key set emails tenant-42 --weight 5",
    "<%= config.bin %> key set emails tenant-42 --max-in-flight 1",
    "<%= config.bin %> key set emails tenant-42 --pause",
    "<%= config.bin %> key set emails tenant-42 --weight 0 --resume",
  ];
  static override args = {
    queue: queueArg,
    key: Args.string({ description: "The fairness key.", required: true, ignoreStdin: true }),
  };
  static override flags = {
    weight: Flags.integer({ description: "1 to 1,000; 0 = the key's own again.", min: 0, max: 1000 }),
    "max-in-flight": capFlag("Leased messages of the key at a time; 0 = as the queue says."),
    pause: Flags.boolean({ description: "Deliver none of its messages.", exclusive: ["resume"] }),
    resume: Flags.boolean({ description: "Deliver its messages again." }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(KeySet);
    const { queue, key } = args;
    const { weight, "max-in-flight": maxInFlight } = flags;
    const paused = flags.pause ? true : flags.resume ? false : undefined;
    if (weight === undefined && paused === undefined && maxInFlight === undefined) {
      throw new UsageError("there is nothing to set; give --weight, --max-in-flight, --pause or --resume");
    }
    await using fila = await this.client(flags.addr);
    await fila.admin.setKey(queue, key, { weight, paused, maxInFlight });
    if (flags.json) {
      this.printJson({ queue, key, weight, paused, maxInFlight });
      return;
    }
    const parts = [
      ...(weight === undefined ? [] : [weight === 0 ? "weight of its own" : `weight ${weight}`]),
      ...(maxInFlight === undefined
        ? []
        : [maxInFlight === 0 ? "as many in flight as the queue says" : `${maxInFlight} in flight at most`]),
      ...(paused === undefined ? [] : [paused ? "paused" : "resumed"]),
    ];
    this.log(`Set key "${printable(key)}" of queue "${queue}": ${parts.join(", ")}`);
  }
}
