// Arguments and flags that several commands have.
import { Args, Flags } from "@oclif/core";
import { UsageError } from "./command-failure.ts";
import { exactSpan } from "./spans.ts";

// Without ignoreStdin oclif reads a piped stdin as the argument.
export const queueArg = Args.string({ description: "Name of the queue.", required: true, ignoreStdin: true });

export const yesFlag = Flags.boolean({ description: "Do not ask.", default: false });

export function limitFlag(usual: number) {
  return Flags.integer({ description: "Show at most so many.", default: usual, min: 1, max: 10_000_000 });
}

/** A duration in milliseconds, given as such or with a unit. The range has both its ends. */
export function durationFlag(name: string, description: string, minimumMs: number, maximumMs: number) {
  return Flags.custom<number>({
    description,
    helpValue: "DURATION",
    async parse(input) {
      const { milliseconds } = await import("@fila/sdk");
      let ms: number;
      try {
        ms = milliseconds(/^\d+$/.test(input) ? Number(input) : (input as "1s"), `--${name}`);
      } catch {
        throw new UsageError(
          `--${name} is ${JSON.stringify(input)}; give milliseconds, or a unit: 250ms, 30s, 5m, 12h, 1d`,
        );
      }
      if (ms >= minimumMs && ms <= maximumMs) return ms;
      throw new UsageError(`--${name} is ${input}; it must be ${exactSpan(minimumMs)} to ${exactSpan(maximumMs)}`);
    },
  })();
}

/** A time of day, or how long ago it is. */
export function pastTimeFlag(name: string, description: string) {
  return Flags.custom<Date>({
    description: `${description}: a time, or how long ago.`,
    helpValue: "TIME",
    async parse(input) {
      const time = timeOf(input);
      if (time !== undefined) return time;
      const { milliseconds } = await import("@fila/sdk");
      try {
        return new Date(Date.now() - milliseconds(input as "1s", name));
      } catch {
        throw new UsageError(
          `--${name} is ${JSON.stringify(input)}; give a time such as 2026-01-31T12:00:00Z, or how long ago, such as 1h`,
        );
      }
    },
  })();
}

/** A time of day. */
export function timeFlag(name: string, description: string) {
  return Flags.custom<Date>({
    description,
    helpValue: "TIME",
    async parse(input) {
      const time = timeOf(input);
      if (time !== undefined) return time;
      throw new UsageError(`--${name} is ${JSON.stringify(input)}; give a time such as 2026-01-31T12:00:00Z`);
    },
  })();
}

/** ISO 8601; undefined: it is none. A day alone is its beginning in UTC, a time of day without a zone is local. */
function timeOf(text: string): Date | undefined {
  const [day] = /^\d{4}-\d\d-\d\d/.exec(text) ?? [];
  const time = new Date(text);
  return day !== undefined && isInCalendar(day) && !Number.isNaN(time.getTime()) ? time : undefined;
}

/** Date takes the 31st of February for the 3rd of March. */
function isInCalendar(day: string): boolean {
  const time = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(time.getTime()) && time.toISOString().startsWith(day);
}
