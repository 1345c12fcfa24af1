// `fila consume --exec`: a command per message, some at the same time.
import type { Fila, Lease } from "@fila/sdk";
import { CommandFailure } from "../command-failure.ts";
import { exitCodes } from "../exit-codes.ts";
import type { CommandEnd, RunningCommand } from "./run-command.ts";

/** What became of a message. "lost": its lease was over before its command was; the message comes again. */
export interface Handled {
  readonly lease: Lease;
  readonly settled: "ack" | "nack" | "lost";
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it was nacked; "" for an ack. */
  readonly error: string;
}

export interface ExecOptions {
  readonly queue: string;
  /** Commands that run at the same time, 1 to 1,000. */
  readonly concurrency: number;
  /** Messages to take in all. */
  readonly max: number;
  /** End when the queue has nothing to give and nothing runs. */
  readonly exitOnEmpty: boolean;
  readonly start: (lease: Lease) => RunningCommand;
  readonly handled: (message: Handled) => void;
}

/** How long the broker is asked to wait for a message: so long may the first Ctrl-C take. */
const waitMs = 1_000;

/**
 * leasing ─signal, max, empty, a failure─▶ finishing ─nothing runs─▶ ended; leasing | finishing ─kill()─▶ killing ─▶ ended.
 * leasing: takes as many messages as may run now, never one that would have to wait here. finishing: takes none, and
 * waits for what runs. killing: what ran is killed and nacked. May never happen: a message without a running command
 * keeps its lease, or a command runs on after the process.
 */
export class ExecWorker {
  acked = 0;
  nacked = 0;
  lost = 0;
  readonly #fila: Fila;
  readonly #options: ExecOptions;
  readonly #stop = new AbortController();
  readonly #running = new Map<RunningCommand, Promise<void>>();
  #taken = 0;
  #killed = false;
  #failure: unknown;
  #wake: (() => void) | undefined;

  constructor(fila: Fila, options: ExecOptions) {
    this.#fila = fila;
    this.#options = options;
  }

  /** Commands that run now. */
  get running(): number {
    return this.#running.size;
  }

  /** Resolves when no command runs and every message is settled. Rejects with what made further work impossible. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener("abort", () => this.stop());
    if (signal.aborted) this.stop();
    // However the process ends, nothing of it is left behind.
    const killAll = (): void => this.#running.forEach((_, command) => command.kill());
    process.on("exit", killAll);
    try {
      while (!this.#over) await this.#step();
    } catch (error) {
      this.#fail(error);
    }
    await this.#idle();
    process.off("exit", killAll);
    if (this.#failure !== undefined) throw this.#failure as Error;
  }

  /** Takes no more messages. */
  stop(): void {
    this.#stop.abort();
    this.#wake?.();
  }

  /** Kills what runs; its messages are nacked. Resolves when they are. */
  async kill(): Promise<void> {
    this.#killed = true;
    this.stop();
    for (const command of this.#running.keys()) command.kill();
    await this.#idle();
  }

  get #over(): boolean {
    return this.#stop.signal.aborted || this.#taken >= this.#options.max;
  }

  async #step(): Promise<void> {
    const { queue, concurrency, max, exitOnEmpty } = this.#options;
    const free = Math.min(concurrency - this.#running.size, max - this.#taken);
    if (free === 0) return this.#changed();
    // Not aborted by the signal: an answer that crossed it would leave its leases behind.
    const leases = await this.#fila.lease(queue, { maxMessages: free, wait: exitOnEmpty ? 0 : waitMs });
    if (this.#stop.signal.aborted) {
      await Promise.allSettled(leases.map((lease) => lease.release()));
      return;
    }
    for (const lease of leases) this.#begin(lease);
    if (leases.length > 0 || !exitOnEmpty) return;
    // What runs may be nacked and come again.
    if (this.#running.size === 0) this.stop();
    else await this.#changed();
  }

  #begin(lease: Lease): void {
    this.#taken++;
    const command = this.#options.start(lease);
    const done = this.#attend(lease, command).finally(() => {
      this.#running.delete(command);
      this.#wake?.();
    });
    this.#running.set(command, done);
  }

  /** Never rejects. */
  async #attend(lease: Lease, command: RunningCommand): Promise<void> {
    const lost = (): void => command.stop();
    lease.signal.addEventListener("abort", lost);
    const duration = lease.expiresAt.getTime() - lease.leasedAt.getTime();
    // One that fails is made good by the next; a lease that is over says so by its signal.
    const heartbeat = setInterval(() => void lease.extend().catch(() => {}), duration / 3);
    try {
      const end = await command.ended;
      clearInterval(heartbeat);
      if (this.#cannotRun(end)) await lease.release();
      else await this.#settle(lease, end);
    } catch (error) {
      this.#fail(error);
    } finally {
      clearInterval(heartbeat);
      lease.signal.removeEventListener("abort", lost);
    }
  }

  /** No message could be handled: it is not the message that is wrong. */
  #cannotRun({ notStarted, failure }: CommandEnd): boolean {
    const code = (failure as NodeJS.ErrnoException | undefined)?.code;
    if (!notStarted || code === "ERR_INVALID_ARG_VALUE" || code === "E2BIG") return false;
    const why = `the command of --exec cannot be run: ${failure?.message ?? ""}`;
    this.#fail(new CommandFailure("invalid_argument", "CANNOT_EXECUTE", why, exitCodes.usage));
    return true;
  }

  async #settle(lease: Lease, end: CommandEnd): Promise<void> {
    const error = this.#killed ? "interrupted" : whyNacked(end);
    const { exitCode, signal } = end;
    try {
      if (error === "") await lease.ack();
      else await lease.nack(error);
      if (error === "") this.acked++;
      else this.nacked++;
      this.#options.handled({ lease, settled: error === "" ? "ack" : "nack", exitCode, signal, error });
    } catch (refused) {
      if ((refused as Error).name !== "LeaseLost") throw refused;
      this.lost++;
      this.#options.handled({ lease, settled: "lost", exitCode, signal, error: (refused as Error).message });
    }
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.stop();
  }

  async #idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running.values());
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => (this.#wake = resolve));
  }
}

/** "" when the command succeeded. */
function whyNacked({ exitCode, signal, lastError, failure }: CommandEnd): string {
  const told = lastError === "" ? "" : `: ${lastError}`;
  if (signal !== null) return `killed by ${signal}${told}`;
  if (exitCode !== null && exitCode !== 0) return `exit ${exitCode}${told}`;
  return failure === undefined ? "" : `its output could not be written: ${failure.message}`;
}
