// What all commands that speak to a server share.
import { Flags } from "@oclif/core";
import type { Fila } from "@fila/sdk";
import { BaseCommand } from "./base-command.ts";
import { reportOf, UsageError, type FailureReport } from "./command-failure.ts";

const defaultAddr = "localhost:5555";

/** The server is named by `--addr`, else by FILA_ADDR, else it is the one on this machine. */
export abstract class ClientCommand extends BaseCommand {
  static override baseFlags = {
    addr: Flags.string({
      description: "Address of the server.",
      env: "FILA_ADDR",
      default: defaultAddr,
      helpGroup: "GLOBAL",
    }),
    ...BaseCommand.baseFlags,
  };

  /** Where the server is looked for; known once `client` was called. */
  #addr = defaultAddr;

  /** A client of the server at `addr`. Loads the SDK only now: help and usage errors need none of it. */
  protected async client(addr: string): Promise<Fila> {
    this.#addr = addr;
    const { connect } = await import("@fila/sdk");
    try {
      return connect(addr);
    } catch (error) {
      throw (error as { reason?: unknown }).reason === "INVALID_URL"
        ? new UsageError(`--addr (or FILA_ADDR): ${(error as Error).message}`)
        : error;
    }
  }

  protected override reportOf(error: unknown): FailureReport {
    const { flags, baseFlags } = this.ctor;
    return reportOf(error, { addr: this.#addr, knownFlags: Object.keys({ ...baseFlags, ...flags }) });
  }
}
