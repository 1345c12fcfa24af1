// fila.toml as a flat list of keys, and the line on which each stands.
import { parse, TomlError } from "smol-toml";

/** The configuration cannot be used; the message says where, what and what to do. One line. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
}

/** Far more than any real file; keeps the search for a line (which parses the file again and again) short. */
export const MAX_FILE_BYTES = 64 * 1024;

export class ConfigFile {
  readonly path: string;
  /** "section.key" → value as TOML gives it. A key outside of a section, or an empty section, has no dot. */
  readonly entries: ReadonlyMap<string, unknown>;
  readonly #text: string;

  constructor(path: string, text: string) {
    this.path = path;
    this.#text = text;
    if (Buffer.byteLength(text) > MAX_FILE_BYTES) {
      throw new ConfigError(`${path}: larger than ${MAX_FILE_BYTES} bytes`);
    }
    try {
      this.entries = flatten(parse(text));
    } catch (error) {
      throw this.#malformed(error);
    }
  }

  /** "path:line" of a key. */
  place(key: string): string {
    const line = this.#lineOf(key);
    return line === undefined ? this.path : `${this.path}:${line}`;
  }

  #malformed(error: unknown): ConfigError {
    if (!(error instanceof TomlError)) return new ConfigError(`${this.path}: ${String(error)}`);
    // The rest of the message quotes the file, which may hold secrets.
    const why = error.message.split("\n", 1)[0]!.replace(/^Invalid TOML document: /, "");
    const near = this.#keyNear(error.line);
    return new ConfigError(
      `${this.path}:${error.line}: not valid TOML${near === undefined ? "" : `, near ${near}`}: ${why}`,
    );
  }

  #keyNear(line: number): string | undefined {
    let section = "";
    let key: string | undefined;
    for (const text of this.#text.split("\n").slice(0, line)) {
      const header = /^\s*\[\s*([\w."-]+)/.exec(text)?.[1];
      if (header !== undefined) {
        section = header;
        key = `[${section}]`;
      } else {
        const name = /^\s*([\w."-]+)\s*=/.exec(text)?.[1] ?? /^\s*([\w."-]+)\s*$/.exec(text)?.[1];
        if (name !== undefined) key = section === "" ? name : `${section}.${name}`;
      }
    }
    return key;
  }

  // TOML can write one key in many ways (sections, dots, quotes, inline tables). Instead of knowing them all again, ask
  // the parser: the key stands on the first line with which the file, cut there, has it.
  #lineOf(key: string): number | undefined {
    const lines = this.#text.split("\n");
    for (let count = 1; count <= lines.length; count++) {
      try {
        if (flatten(parse(lines.slice(0, count).join("\n"))).has(key)) return count;
      } catch {
        // Cut in the middle of a value that spans lines: the next line may complete it.
      }
    }
    return undefined;
  }
}

function flatten(table: Readonly<Record<string, unknown>>): Map<string, unknown> {
  const entries = new Map<string, unknown>();
  for (const [section, content] of Object.entries(table)) {
    if (isTable(content)) {
      const keys = Object.entries(content);
      if (keys.length === 0) entries.set(section, content);
      for (const [key, value] of keys) entries.set(`${section}.${key}`, value);
    } else {
      entries.set(section, content);
    }
  }
  return entries;
}

export function isTable(value: unknown): value is Record<string, unknown> {
  // The parser's tables have no prototype; dates and arrays do.
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === null;
}
