import type { FilaError } from "../errors.ts";

/** Who waits for the result of one message. Exactly one of the two is called, once; neither may throw. */
export interface Sink {
  /** `duplicate`: it was not stored, its idempotency key was used before. */
  resolve(id: string, duplicate: boolean): void;
  reject(error: FilaError): void;
}
