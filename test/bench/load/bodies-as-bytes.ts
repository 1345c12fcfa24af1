// The service as the generated code has it, but with `bytes` in place of the messages that come by the hundred: the same
// wire, still read and written by the generated machinery, without an object per message. A client that forwards bodies
// would do this; here it keeps the load cheaper than the broker that is measured.
import { clone, createFileRegistry } from "@bufbuild/protobuf";
import type { DescService, Message } from "@bufbuild/protobuf";
import type { GenMessage, GenService } from "@bufbuild/protobuf/codegenv2";
import { FieldDescriptorProto_Type, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { file_fila_v1_service } from "@fila/sdk/gen";

/** Fields that become bytes; each has that type on the wire already. */
const asBytes: Readonly<Record<string, readonly string[]>> = {
  StreamEnqueueRequest: ["messages"],
  StreamEnqueueResponse: ["results"],
  StreamLeaseRequest: ["subscribe", "settlements"],
  StreamLeaseResponse: ["subscribed", "messages", "settled", "lost"],
};

type Bytes = Uint8Array;
type EnqueueFrame = Message<"fila.v1.StreamEnqueueRequest"> & { frame: bigint; messages: Bytes[]; queue: string };
type EnqueueResults = Message<"fila.v1.StreamEnqueueResponse"> & { frame: bigint; results: Bytes[] };
type LeaseFrame = Message<"fila.v1.StreamLeaseRequest"> & {
  subscribe: Bytes;
  credit: number;
  settlementFrame: bigint;
  settlements: Bytes[];
};
type Leases = Message<"fila.v1.StreamLeaseResponse"> & {
  subscribed: Bytes;
  messages: Bytes[];
  settled: Bytes[];
  lost: Bytes[];
  draining: boolean;
};
interface Bidi<Request extends Message, Response extends Message> {
  methodKind: "bidi_streaming";
  input: GenMessage<Request>;
  output: GenMessage<Response>;
}

export const FilaServiceAsBytes = serviceAsBytes() as unknown as GenService<{
  streamEnqueue: Bidi<EnqueueFrame, EnqueueResults>;
  streamLease: Bidi<LeaseFrame, Leases>;
}>;

function serviceAsBytes(): DescService {
  const proto = clone(FileDescriptorProtoSchema, file_fila_v1_service.proto);
  for (const message of proto.messageType) {
    for (const field of message.field) {
      if (asBytes[message.name]?.includes(field.name) !== true) continue;
      field.type = FieldDescriptorProto_Type.BYTES;
      field.typeName = "";
    }
  }
  const registry = createFileRegistry(proto, (name) =>
    file_fila_v1_service.dependencies.find((file) => `${file.name}.proto` === name),
  );
  return registry.getService("fila.v1.FilaService")!;
}
