import { createRegistry } from "@bufbuild/protobuf";
import { FilaAdmin, FilaService } from "@fila/sdk/gen";
import { Health } from "@fila/sdk/gen/grpc";
import { failure } from "../core/errors.ts";
import type { Failure } from "../core/errors.ts";

const messages = createRegistry(FilaService.file, FilaAdmin.file, ...FilaService.file.dependencies, Health.file);

/** What the library says of a field that the message does not have, as a failure that says which it has. */
export function unknownJsonField(message: string): Failure | undefined {
  const [, typeName = "", key] = /^cannot decode message (\S+) from JSON: key "(.*)" is unknown$/s.exec(message) ?? [];
  if (key === undefined) return undefined;
  const field = key.length > 100 ? `${key.slice(0, 100)}...` : key;
  const known = messages.getMessage(typeName)?.fields.map(({ jsonName }) => jsonName) ?? [];
  const remedy = known.length === 0 ? "it has none" : `its fields are ${known.join(", ")}`;
  return failure("INVALID_REQUEST", `${typeName} has no field ${JSON.stringify(field)}; ${remedy}`, {
    field: field.toWellFormed(),
  });
}
