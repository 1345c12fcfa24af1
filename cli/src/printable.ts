// Text of others on a terminal.

const unsafe = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** Control and invisible characters as escapes: what a producer wrote moves no cursor and forges no line. */
export function printable(text: string): string {
  return text.replace(unsafe, escaped);
}

/** `printable`, but newlines and tabs stay. */
export function printableText(text: string): string {
  return text.replace(unsafe, (character) => (/[\n\t]/.test(character) ? character : escaped(character)));
}

/** As a word of a shell. */
export function shellWord(text: string): string {
  return /^[\w./:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** At most so many characters. */
export function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, Math.max(0, length - 1))}…`;
}

function escaped(character: string): string {
  const code = character.codePointAt(0)!;
  if (character === "\n") return "\\n";
  if (character === "\t") return "\\t";
  return code < 256 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u{${code.toString(16)}}`;
}
