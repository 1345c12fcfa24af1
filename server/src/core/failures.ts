// Failures that more than one part of the core answers with.
import { type Failure, failure } from "./errors.ts";

export function unknownQueue(name: string): Failure {
  return failure(
    "QUEUE_NOT_FOUND",
    `queue "${name}" does not exist; create it with CreateQueue or "fila queue create ${name}"`,
    {
      metadata: { queue: name },
    },
  );
}
