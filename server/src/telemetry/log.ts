// The log: one line per event on standard error, so that standard output stays free for what a program prints.

/** Names and values that belong to an event. Never a key, a payload or a path that a client could learn from. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Log {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  /** `cause` is for the operator alone: its stack goes to the log and nowhere else. */
  error(event: string, cause?: unknown, fields?: LogFields): void;
}

/** A log that writes each event as one line: time, level, event, name=value. */
export function lineLog(write: (line: string) => void, now: () => Date = () => new Date()): Log {
  const line = (level: string, event: string, fields: LogFields | undefined): string => {
    let text = `${now().toISOString()} ${level} ${oneLine(event)}`;
    for (const [name, value] of Object.entries(fields ?? {})) {
      if (value !== undefined) text += ` ${name}=${quoteWhereNeeded(String(value))}`;
    }
    return `${text}\n`;
  };
  return {
    info: (event, fields) => write(line("info", event, fields)),
    warn: (event, fields) => write(line("warn", event, fields)),
    error: (event, cause, fields) =>
      write(line("error", event, cause === undefined ? fields : { ...fields, cause: describe(cause) })),
  };
}

/** The log of the process. */
export function stderrLog(): Log {
  return lineLog((line) => {
    process.stderr.write(line);
  });
}

/** A log that nobody reads: for tests and for an embedding program that keeps its own. */
export const silentLog: Log = { info() {}, warn() {}, error() {} };

function describe(cause: unknown): string {
  return cause instanceof Error ? (cause.stack ?? `${cause.name}: ${cause.message}`) : String(cause);
}

// What a client sends may end up in an event: without this it could forge lines of its own.
function oneLine(text: string): string {
  // eslint-disable-next-line no-control-regex -- control characters are what must not get through
  return text.replace(/[\u0000-\u001f\u007f]/g, " ");
}

function quoteWhereNeeded(value: string): string {
  return /^[\w.:/@+-]+$/.test(value) ? value : JSON.stringify(value);
}
