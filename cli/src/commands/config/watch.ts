import { Flags } from "@oclif/core";
import type { ConfigChange } from "@fila/sdk/admin";
import { ClientCommand } from "../../client-command.ts";
import { keepsUp } from "../../list-output.ts";
import { printable } from "../../printable.ts";
import { StopSignals } from "../../stop-signals.ts";

export default class ConfigWatch extends ClientCommand {
  static override summary = "Print each change of the run-time configuration.";

  static override description =
    "Revision, key and value, once and in order, until --max or Ctrl-C, over restarts of the broker too. Without " +
    "--from-revision: what changes from now on; with 0: every change that is kept. A deleted key has no value.";

  static override examples = [
    "<%= config.bin %> config watch --prefix throttle.",
    "<%= config.bin %> config watch --from-revision 17 --json",
  ];

  static override flags = {
    "from-revision": Flags.integer({ description: "Changes after this revision. Default: from now on.", min: 0 }),
    prefix: Flags.string({ description: "Only keys that begin with it.", default: "" }),
    max: Flags.integer({ description: "Stop after so many changes.", min: 1 }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(ConfigWatch);
    await using fila = await this.client(flags.addr);
    using stop = new StopSignals();
    const { prefix, max = Infinity } = flags;
    // Of any key: only the revision counts.
    const fromRevision = flags["from-revision"] ?? (await fila.admin.getConfig("-")).revision;
    let printed = 0;
    for await (const change of fila.admin.watchConfig({ fromRevision, prefix, signal: stop.signal })) {
      if (flags.json) this.printJson(change);
      else this.log(lineOf(change));
      if (++printed >= max || !(await keepsUp(this.stdio.stdout))) break;
    }
  }
}

function lineOf({ revision, key, value }: ConfigChange): string {
  return `${revision} ${printable(key)} ${value === undefined ? "(deleted)" : printable(value)}`;
}
