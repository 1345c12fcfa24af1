// The log: one line per event on standard error, so that standard output stays free for what a program prints. pino
// writes it, as JSON for machines, and as plain lines where a person looks on.
import { isatty } from "node:tty";
import { pino } from "pino";
import { descriptorWriter } from "./line-writer.ts";
import { readableLine } from "./readable-line.ts";

/** Names and values that belong to an event. Never a key, a payload or a path that a client could learn from. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent";

export interface Log {
  /** What helps to find a fault and is too much for every day. Never once per message. */
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  /** `cause` is for the operator alone: its stack goes to the log and nowhere else. */
  error(event: string, cause?: unknown, fields?: LogFields): void;
}

/** A log whose level can be changed while it is in use. */
export interface LeveledLog extends Log {
  /** Events below it are dropped. */
  level: LogLevel;
}

export interface LogOptions {
  /** Takes one whole line, and must not throw. Called within the call of the log, so nothing is lost at an exit. */
  readonly write: (line: string) => void;
  /** Default: info. */
  readonly level?: LogLevel;
  /** Lines for people instead of JSON. Default: false. */
  readonly readable?: boolean;
}

/** What a client sends may end up in an event, and must not fill the log. In UTF-16 units. */
export const maxTextLength = 1_000;
/** A stack is made by the program itself, and its end says where it began. */
const maxCauseLength = 8_000;

export function createLog({ write, level = "info", readable = false }: LogOptions): LeveledLog {
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: readable ? (line) => write(readableLine(line)) : write },
  );
  return {
    get level() {
      return logger.level as LogLevel;
    },
    set level(wanted) {
      logger.level = wanted;
    },
    debug: (event, fields) => logger.debug(shortened(fields), cut(event, maxTextLength)),
    info: (event, fields) => logger.info(shortened(fields), cut(event, maxTextLength)),
    warn: (event, fields) => logger.warn(shortened(fields), cut(event, maxTextLength)),
    error: (event, cause, fields) => {
      const why = cause === undefined ? undefined : { cause: cut(describe(cause), maxCauseLength) };
      logger.error({ ...shortened(fields), ...why }, cut(event, maxTextLength));
    },
  };
}

/** The log of the process. */
export function stderrLog(level?: LogLevel): LeveledLog {
  const stderr = 2;
  const lines = descriptorWriter(stderr);
  return createLog({ write: (line) => lines.write(line), readable: isatty(stderr), ...(level && { level }) });
}

/** A log that nobody reads: for tests and for an embedding program that keeps its own. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };

function describe(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? `${cause.name}: ${cause.message}`) : String(cause);
}

function shortened(fields: LogFields = {}): LogFields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      typeof value === "string" ? cut(value, maxTextLength) : value,
    ]),
  );
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length)}... (${text.length - length} more)`;
}
