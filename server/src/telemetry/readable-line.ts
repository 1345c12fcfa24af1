// A line of the log as a person reads it: time, level, event, name=value; the stack of an error below it, set in.

/** @param json a line of the log as JSON */
export function readableLine(json: string): string {
  const { time, level, msg, cause, ...fields } = JSON.parse(json) as Record<string, string | number | boolean>;
  let text = `${time} ${level} ${printable(String(msg ?? ""))}`;
  for (const [name, value] of Object.entries(fields)) text += ` ${name}=${quoteWhereNeeded(String(value))}`;
  for (const line of cause === undefined ? [] : String(cause).split("\n")) text += `\n    ${printable(line)}`;
  return `${text}\n`;
}

// What a client sends may end up in an event: without this it could forge lines of its own, command the terminal, or turn
// the direction of writing. Control characters of C0 and C1, line separators, and the marks of direction.
// eslint-disable-next-line no-control-regex -- control characters are what must not get through
const unprintable = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

function printable(text: string): string {
  return text.replace(unprintable, " ");
}

function quoteWhereNeeded(value: string): string {
  return /^[\w.:/@+-]+$/.test(value) ? value : printable(JSON.stringify(value));
}
