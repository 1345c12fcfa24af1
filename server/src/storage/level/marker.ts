// The file FILA says: this directory holds a store, in this format. It becomes durable after the database and before
// the first commit, so: no marker = nothing was ever acknowledged here; marker = an incomplete database is a damaged one.
import { randomUUID } from "node:crypto";
import { open, readFile, rename } from "node:fs/promises";
import { join } from "node:path";
import { StorageError } from "../port.ts";
import { syncDirectory } from "./directory.ts";
import { isMissing } from "./failure.ts";

export const MARKER = "FILA";
export const MARKER_TEMPORARY = "FILA.tmp";
/** Raise it when an older version must not open the store any more. */
const FORMAT = 1;

export interface Marker {
  readonly format: number;
  /** A UUID that tells one store from another. */
  readonly id: string;
}

export async function readMarker(dataDir: string): Promise<Marker | undefined> {
  const path = join(dataDir, MARKER);
  let text;
  try {
    text = await readFile(path, "utf8");
  } catch (reason) {
    if (isMissing(reason)) return undefined;
    throw reason;
  }
  const marker = parse(text);
  if (marker === undefined) {
    throw new StorageError("corrupt", `${path}: unreadable marker file: restore it from a backup of the store`);
  }
  if (marker.format > FORMAT) {
    throw new StorageError(
      "newer_format",
      `${dataDir}: written by a newer Fila (store format ${marker.format}, this version knows ${FORMAT}): use that version`,
    );
  }
  return marker;
}

export async function writeMarker(dataDir: string): Promise<Marker> {
  const marker: Marker = { format: FORMAT, id: randomUUID() };
  const temporary = join(dataDir, MARKER_TEMPORARY);
  const file = await open(temporary, "w", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(marker)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, join(dataDir, MARKER));
  await syncDirectory(dataDir);
  return marker;
}

function parse(text: string): Marker | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("format" in value) || !("id" in value)) return undefined;
    const { format, id } = value;
    return Number.isInteger(format) && typeof id === "string" ? { format: format as number, id } : undefined;
  } catch {
    return undefined; // the caller names the file
  }
}
