import { Flags } from "@oclif/core";
import type { Duration, HealthStatus } from "@fila/sdk";
import { ClientCommand } from "../client-command.ts";
import { CommandFailure } from "../command-failure.ts";
import { exitCodes } from "../exit-codes.ts";

/** Between two questions while it waits. */
const intervalMs = 200;

export default class Health extends ClientCommand {
  static override summary = "Ask whether the broker serves.";

  static override description =
    'Prints "serving" and ends with 0, or says why not and ends with 5. With --wait it asks again until the broker ' +
    "serves or the time is over.";

  static override examples = ["<%= config.bin %> health", "<%= config.bin %> health --wait 30s && ./start-workers.sh"];

  static override flags = {
    wait: Flags.string({
      description: "How long to wait for it, like 30s or 2m.",
      default: "0",
      helpValue: "DURATION",
    }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(Health);
    await using fila = await this.client(flags.addr);
    const { milliseconds } = await import("@fila/sdk");
    const waitMs = milliseconds(/^\d+$/.test(flags.wait) ? Number(flags.wait) : (flags.wait as Duration), "--wait");
    const deadline = performance.now() + waitMs;
    for (;;) {
      try {
        assertServing(await fila.admin.health());
        break;
      } catch (error) {
        if (!mayPass(error) || performance.now() + intervalMs > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, intervalMs));
      }
    }
    if (flags.json) this.printJson({ status: "serving" });
    else this.log("serving");
  }
}

function assertServing(status: HealthStatus): void {
  if (status === "serving") return;
  throw new CommandFailure(
    "unavailable",
    "NOT_SERVING",
    "not serving: the broker is stopping, or its store cannot be written; its log says which",
    exitCodes.unavailable,
  );
}

/** What is not there yet, or not yet well, may come. */
function mayPass(error: unknown): boolean {
  if (error instanceof CommandFailure) return true;
  const { code } = error as { code?: unknown };
  return code === "unavailable" || code === "deadline_exceeded";
}
