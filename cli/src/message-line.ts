// A message as a line of output.
import type { Lease } from "@fila/sdk";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const newline = 10;

/** The payload, byte for byte, and a newline. */
export function payloadLine(lease: Lease): Uint8Array {
  const line = new Uint8Array(lease.payload.length + 1);
  line.set(lease.payload);
  line[lease.payload.length] = newline;
  return line;
}

/** One JSON object and a newline. `encoding` says how to read `payload`: "utf8", or "base64" when it is no text. */
export function jsonLine(lease: Lease): Uint8Array {
  return Buffer.from(
    `${JSON.stringify({
      id: lease.id,
      ...encoded(lease.payload),
      headers: lease.headers,
      fairnessKey: lease.fairnessKey,
      weight: lease.weight,
      throttleKeys: lease.throttleKeys,
      attempt: lease.attempt,
      enqueuedAt: lease.enqueuedAt,
      leasedAt: lease.leasedAt,
    })}\n`,
  );
}

/** A payload as JSON has it: text, or base64 of what is no UTF-8. */
export function encoded(payload: Uint8Array): { readonly payload: string; readonly encoding: "utf8" | "base64" } {
  try {
    return { payload: strict.decode(payload), encoding: "utf8" };
  } catch {
    return { payload: Buffer.from(payload).toString("base64"), encoding: "base64" };
  }
}
