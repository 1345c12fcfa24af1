// Lua scripts as arguments and flags give them.
import { readFile } from "node:fs/promises";
import { Flags } from "@oclif/core";
import { UsageError } from "./command-failure.ts";

/** The source itself, or "@" and the name of a file that holds it. "" = no script. */
export function scriptFlag(name: string, description: string) {
  return Flags.custom({
    description,
    helpValue: "LUA|@FILE",
    async parse(input) {
      return input.startsWith("@") ? readScript(input.slice(1), `--${name} ${input}`) : input;
    },
  })();
}

/** @param given what the user wrote, for the error. Throws UsageError. */
export async function readScript(file: string, given: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    const why = { ENOENT: "there is no such file", EISDIR: "it is a folder", EACCES: "it may not be read" }[code];
    throw new UsageError(`${given}: the script cannot be read: ${why ?? code}`);
  }
  return decoded(bytes, given);
}

/** Throws UsageError. */
export async function readScriptFrom(stdin: AsyncIterable<Uint8Array | string>): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stdin) {
    const bytes = Buffer.from(chunk);
    chunks.push(bytes);
    size += bytes.byteLength;
    // Whatever it is, the broker would refuse it.
    if (size > longestScript) throw new UsageError(`the script on stdin is longer than ${longestScript} bytes`);
  }
  return decoded(Buffer.concat(chunks), "stdin");
}

const longestScript = 65_536;

function decoded(bytes: Uint8Array, given: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new UsageError(`${given}: the script is not valid UTF-8`);
  }
}
