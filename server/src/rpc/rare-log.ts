// Lines that whoever reaches the port can cause, as often as they like: the log must not be theirs to fill.
import type { Log, LogFields } from "../telemetry/log.ts";

type Write = (leftOut: LogFields) => void;

/** How long after a line the next one has to wait. */
const INTERVAL_MS = 1000;

/**
 * Writes at most one line per second, of whatever kind.
 *
 * States: quiet -a line, written at once-> counting -a second without another-> quiet. counting: lines are left out; when
 * the second is over, the last of them is written, with the number of the others as left_out, and a new second begins.
 */
export class RareLog {
  readonly #log: Log;
  #counting = false;
  #leftOut = 0;
  #last: Write | undefined = undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  warn(event: string, fields: LogFields = {}): void {
    this.#write((leftOut) => this.#log.warn(event, { ...fields, ...leftOut }));
  }

  error(event: string, cause: unknown, fields: LogFields = {}): void {
    this.#write((leftOut) => this.#log.error(event, cause, { ...fields, ...leftOut }));
  }

  #write(line: Write): void {
    if (this.#counting) {
      this.#leftOut += 1;
      this.#last = line;
      return;
    }
    line({});
    this.#count();
  }

  #count(): void {
    this.#counting = true;
    setTimeout(() => this.#secondOver(), INTERVAL_MS).unref();
  }

  #secondOver(): void {
    const last = this.#last;
    const others = this.#leftOut - 1;
    this.#counting = false;
    this.#last = undefined;
    this.#leftOut = 0;
    if (last === undefined) return;
    last(others > 0 ? { left_out: others } : {});
    this.#count();
  }
}
