// A message as the environment of the command that handles it.
import type { Lease } from "@fila/sdk";

/** What the command is told of its message; `addr` so that a fila that it runs finds the same server. */
export function messageEnvironment(lease: Lease, addr: string): NodeJS.ProcessEnv {
  return {
    ...process.env,
    FILA_ADDR: addr,
    FILA_QUEUE: lease.queue,
    FILA_MESSAGE_ID: lease.id,
    FILA_FAIRNESS_KEY: lease.fairnessKey,
    FILA_ATTEMPT: String(lease.attempt),
    FILA_HEADERS: JSON.stringify(lease.headers),
  };
}
