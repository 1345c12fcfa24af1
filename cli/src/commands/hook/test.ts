import { Flags } from "@oclif/core";
import { ClientCommand } from "../../client-command.ts";
import { UsageError } from "../../command-failure.ts";
import { exitCodes } from "../../exit-codes.ts";
import { durationFlag } from "../../flags.ts";
import { describeTrial, hookArg } from "../../hook-text.ts";
import { parsePairs } from "../../pairs.ts";
import { scriptFlag } from "../../script-source.ts";

const year = 365 * 86_400_000;
const repeated = { multiple: true, multipleNonGreedy: true } as const;

export default class HookTest extends ClientCommand {
  static override summary = "Try a script on a message that does not exist.";
  static override description =
    "The broker calls it apart from all traffic, and tells what it decided, what it used of its budget and what it read. " +
    "Ends with 1 when the script failed.";
  static override examples = [
    "<%= config.bin %> hook test on_enqueue --script @tiers.lua --header tenant=acme --config weight.acme=5",
    "<%= config.bin %> hook test on_enqueue --queue emails --header tenant=acme",
    "<%= config.bin %> hook test on_failure --queue emails --attempts 3 --error 'HTTP 429'",
  ];
  static override args = { hook: hookArg({ required: true }) };
  static override flags = {
    queue: Flags.string({
      description: "Try the script that this queue has; with --script, its name is what that sees.",
    }),
    script: scriptFlag("script", "The script to try."),
    header: Flags.string({ description: "Header of the message as name=value; may be repeated.", ...repeated }),
    payload: Flags.string({ description: "Payload of the message." }),
    "see-payload": Flags.boolean({
      description: "The script sees the payload. Default: as the queue says.",
      allowNo: true,
    }),
    config: Flags.string({
      description: "Configuration that it sees before what is set, as key=value; may be repeated.",
      ...repeated,
    }),
    attempts: Flags.integer({ description: "on_failure: ended attempts.", min: 0 }),
    error: Flags.string({ description: "on_failure: what the worker said." }),
    "requested-delay": durationFlag("requested-delay", "on_failure: the delay that the worker asked for.", 0, year),
    "do-not-retry": Flags.boolean({ description: "on_failure: the worker asked for no further attempt." }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(HookTest);
    const { queue, script, payload, attempts, error } = flags;
    if (queue === undefined && script === undefined)
      throw new UsageError("give --script, or --queue for the script it has");
    await using fila = await this.client(flags.addr);
    const trial = await fila.admin.testHook(args.hook, {
      queue,
      script,
      headers: parsePairs("--header", flags.header ?? []),
      payload,
      config: parsePairs("--config", flags.config ?? []),
      attempts,
      error,
      requestedDelay: flags["requested-delay"],
      doNotRetry: flags["do-not-retry"] ? true : undefined,
      seePayload: flags["see-payload"],
    });
    if (flags.json) this.printJson(trial);
    else for (const line of describeTrial(trial)) this.log(line);
    if ("failure" in trial) this.stdio.exitCode = exitCodes.error;
  }
}
