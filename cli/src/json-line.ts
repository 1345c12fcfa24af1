// `fila enqueue --ndjson`: a line that holds a JSON value, and what of it becomes fields of the message.
import type { EnqueueOptions } from "@fila/sdk";
import { CommandFailure } from "./command-failure.ts";
import { exitCodes } from "./exit-codes.ts";
import type { JsonPath } from "./json-path.ts";

/** Where the fields of the message are found. */
export interface JsonFields {
  readonly key?: JsonPath | undefined;
  readonly weight?: JsonPath | undefined;
  readonly cost?: JsonPath | undefined;
  readonly throttleKeys: readonly JsonPath[];
  /** A line that has none is refused: it might be stored twice. */
  readonly idempotencyKey?: JsonPath | undefined;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Reads lines with the same fields. */
export class JsonLines {
  readonly #fields: JsonFields;
  /** Lines that had no key: neither a text (empty does not count), nor a number or a boolean is there. */
  withoutKey = 0;

  constructor(fields: JsonFields) {
    this.#fields = fields;
  }

  /** `options` with what the line says. Throws CommandFailure for a line that is no JSON, or whose field is none. */
  optionsOf(line: Uint8Array, options: EnqueueOptions): EnqueueOptions {
    const text = textOf(line);
    const value = parsed(text);
    const { key, weight, cost, throttleKeys, idempotencyKey } = this.#fields;
    const read = { ...options };
    if (key !== undefined) {
      const found = asText(key, value, text);
      if (found === undefined) this.withoutKey++;
      else read.fairnessKey = found;
    }
    if (weight !== undefined) read.weight = asNumber("--weight-from", weight, value) ?? options.weight;
    if (cost !== undefined) read.cost = asNumber("--cost-from", cost, value) ?? options.cost;
    const throttles = throttleKeys.map((path) => asText(path, value, text)).filter((found) => found !== undefined);
    if (throttles.length > 0) read.throttleKeys = [...(options.throttleKeys ?? []), ...throttles];
    if (idempotencyKey !== undefined) {
      read.idempotencyKey = asText(idempotencyKey, value, text);
      if (read.idempotencyKey === undefined) throw refused("has no text or number where --idempotency-key-from looks");
    }
    return read;
  }
}

function textOf(line: Uint8Array): string {
  try {
    return decoder.decode(line);
  } catch {
    throw refused("is not UTF-8");
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    throw refused(`is no JSON: ${(error as Error).message}`);
  }
}

/** A number that JavaScript cannot hold exactly is taken as it is written: two tenants must not become one. */
function asText(path: JsonPath, value: unknown, text: string): string | undefined {
  const found = path.of(value);
  if (typeof found === "string") return found === "" ? undefined : found;
  if (typeof found === "number") return Number.isSafeInteger(found) ? String(found) : written(path, text);
  return typeof found === "boolean" ? String(found) : undefined;
}

class Written {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

function written(path: JsonPath, text: string): string {
  const keepSource = (_key: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === "number" ? new Written(context!.source!) : value;
  return (path.of(JSON.parse(text, keepSource)) as Written).source;
}

function asNumber(flag: string, path: JsonPath, value: unknown): number | undefined {
  const found = path.of(value) ?? undefined;
  if (found === undefined || typeof found === "number") return found;
  throw refused(`has ${JSON.stringify(found).slice(0, 100)} where ${flag} looks for a number`);
}

function refused(why: string): CommandFailure {
  return new CommandFailure("invalid_argument", "INVALID_LINE", why, exitCodes.usage);
}
