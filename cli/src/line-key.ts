// The fairness key of a line.
import { UsageError } from "./command-failure.ts";

/** Takes keys from lines with a regular expression whose first group is the key. */
export class LineKey {
  readonly #pattern: RegExp;
  /** Lines that did not match, or whose group was empty: they get the default key. */
  withoutKey = 0;

  /** Throws UsageError when the expression is invalid or has no group. */
  constructor(source: string) {
    try {
      this.#pattern = new RegExp(source);
    } catch (error) {
      throw new UsageError(`--key-regex: ${error instanceof Error ? error.message : String(error)}`);
    }
    const groups = (new RegExp(`${source}|`).exec("")?.length ?? 1) - 1;
    if (groups === 0) {
      throw new UsageError(`--key-regex ${source} has no group; put the key in parentheses, for example '^(\\S+)'`);
    }
  }

  keyOf(line: Uint8Array): string | undefined {
    const key = this.#pattern.exec(Buffer.from(line.buffer, line.byteOffset, line.byteLength).toString())?.[1];
    if (key !== undefined && key !== "") return key;
    this.withoutKey++;
    return undefined;
  }
}
