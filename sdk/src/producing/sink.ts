import type { FilaError } from "../errors.ts";

/** Who waits for the result of one message. Exactly one of the two is called, once; neither may throw. */
export interface Sink {
  resolve(id: string): void;
  reject(error: FilaError): void;
}
