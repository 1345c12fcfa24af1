// Counts what completes within a window of time, after a warm-up of the same load.
import { cpuTimeUs, mainThreadCpuUs, nowUs } from "./process-cost.ts";

export interface WindowOptions {
  readonly warmUpSeconds: number;
  readonly seconds: number;
  /** Whose CPU time is counted besides this process's own: the server. */
  readonly serverPid?: number;
}

export interface Throughput {
  readonly perSecond: number;
  /** CPU time of all threads per counted thing, microseconds. */
  readonly clientCpuUs: number;
  readonly serverCpuUs: number | undefined;
  /** The same of the server's main thread alone. */
  readonly serverMainUs: number | undefined;
  /** The window, on the clock of `nowUs`. */
  readonly fromUs: number;
  readonly toUs: number;
  /** Counted within the window. */
  readonly count: number;
  /** Counted in all, warm-up and end included. */
  readonly total: number;
}

interface Edge {
  readonly us: number;
  readonly client: number;
  readonly server: number | undefined;
  readonly serverMain: number | undefined;
}

/** warming up ─first count after the warm-up─▶ measuring ─first count after the window─▶ over. */
export class MeasuringWindow {
  readonly #options: WindowOptions;
  readonly #startUs = nowUs();
  #from: Edge | undefined;
  #to: Edge | undefined;
  #count = 0;
  #total = 0;

  constructor(options: WindowOptions) {
    this.#options = options;
  }

  /** Whether the load may stop. */
  get over(): boolean {
    return this.#to !== undefined;
  }

  get measuring(): boolean {
    return this.#from !== undefined && !this.over;
  }

  /** `things` just completed. */
  completed(things: number): void {
    this.#total += things;
    if (this.over) return;
    const us = nowUs();
    if (this.#from === undefined) {
      if (us >= this.#startUs + this.#options.warmUpSeconds * 1e6) this.#from = this.#edge(us);
      return;
    }
    this.#count += things;
    if (us >= this.#from.us + this.#options.seconds * 1e6) this.#to = this.#edge(us);
  }

  throughput(): Throughput {
    const from = this.#from;
    const to = this.#to;
    if (from === undefined || to === undefined) throw new Error("the load ended before the window was over");
    const count = this.#count;
    return {
      perSecond: (count * 1e6) / (to.us - from.us),
      clientCpuUs: (to.client - from.client) / count,
      serverCpuUs: from.server === undefined ? undefined : (to.server! - from.server) / count,
      serverMainUs: from.serverMain === undefined ? undefined : (to.serverMain! - from.serverMain) / count,
      fromUs: from.us,
      toUs: to.us,
      count,
      total: this.#total,
    };
  }

  #edge(us: number): Edge {
    const { serverPid } = this.#options;
    return {
      us,
      client: cpuTimeUs(process.pid),
      server: serverPid === undefined ? undefined : cpuTimeUs(serverPid),
      serverMain: serverPid === undefined ? undefined : mainThreadCpuUs(serverPid),
    };
  }
}
