// Every service of the port with its implementation: the one place where a service is registered.
import type { DescService } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import { file_google_rpc_error_details, FilaAdmin, FilaService } from "@fila/sdk/gen";
import { Health, reflectionV1, reflectionV1alpha } from "@fila/sdk/gen/grpc";
import type { Broker } from "../broker/contract.ts";
import { adminService } from "./admin-service.ts";
import { healthService } from "./health-service.ts";
import type { Door } from "./hot/door.ts";
import { messageService } from "./message-service.ts";
import { reflection } from "./reflection-service.ts";

export const servedServices: readonly DescService[] = [
  FilaService,
  FilaAdmin,
  Health,
  reflectionV1.ServerReflection,
  reflectionV1alpha.ServerReflection,
];

/** Requests of gRPC's own services hold a name or two. */
const SMALL_REQUEST_BYTES = 64 * 1024;

/** @param closing aborts when the port closes; streams of gRPC's own services end then */
export function registerServices(router: ConnectRouter, broker: Broker, door: Door, closing: AbortSignal): void {
  const small = { readMaxBytes: SMALL_REQUEST_BYTES };
  const serverReflectionInfo = reflection({
    services: servedServices,
    files: [file_google_rpc_error_details],
    closing,
  });
  router
    .service(FilaAdmin, adminService(broker))
    .service(FilaService, messageService(door))
    .service(Health, healthService(broker, closing), small)
    .service(reflectionV1.ServerReflection, { serverReflectionInfo }, small)
    .service(reflectionV1alpha.ServerReflection, { serverReflectionInfo }, small);
}

/** Paths of the procedures whose requests are a stream, so that their bodies may stay open for ever. */
export function endlessPaths(): ReadonlySet<string> {
  const methods = servedServices.flatMap((service) => service.methods);
  return new Set(
    methods
      .filter(({ methodKind }) => methodKind === "bidi_streaming" || methodKind === "client_streaming")
      .map(({ parent, name }) => `/${parent.typeName}/${name}`),
  );
}
