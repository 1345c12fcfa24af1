/**
 * gRPC's own services as code: health checking and server reflection, generated from `proto/third_party/grpc/`. Apart
 * from `index.ts`, because no client of Fila needs them.
 */
export * from "./grpc/health/v1/health_pb.ts";
export * as reflectionV1 from "./grpc/reflection/v1/reflection_pb.ts";
export * as reflectionV1alpha from "./grpc/reflection/v1alpha/reflection_pb.ts";
