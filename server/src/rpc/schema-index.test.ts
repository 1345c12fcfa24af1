import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, createFileRegistry, fromBinary, isFieldSet } from "@bufbuild/protobuf";
import {
  FieldDescriptorProto_Label as Label,
  FieldDescriptorProto_Type as Type,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { file_google_rpc_error_details, FilaAdmin, FilaService } from "@fila/sdk/gen";
import { SchemaIndex } from "./schema-index.ts";

/** Two files, the second of which extends a message of the first. */
function extended() {
  const label = Label.OPTIONAL;
  const set = create(FileDescriptorSetSchema, {
    file: [
      {
        name: "base.proto",
        syntax: "proto2",
        package: "base",
        messageType: [
          { name: "Base", extensionRange: [{ start: 100, end: 200 }] },
          {
            name: "Plain",
            nestedType: [{ name: "Inner" }],
            oneofDecl: [{ name: "choice" }],
            field: [{ name: "one", number: 1, label, type: Type.INT32, oneofIndex: 0 }],
          },
        ],
      },
      {
        name: "more.proto",
        syntax: "proto2",
        package: "more",
        dependency: ["base.proto"],
        messageType: [
          { name: "Scope", extension: [{ name: "b", number: 101, label, type: Type.INT32, extendee: ".base.Base" }] },
        ],
        extension: [{ name: "a", number: 150, label, type: Type.INT32, extendee: ".base.Base" }],
        enumType: [{ name: "Color", value: [{ name: "RED", number: 0 }] }],
      },
    ],
  });
  return [...createFileRegistry(set).files].filter((file) => file.proto.name === "more.proto");
}

describe("schema index", () => {
  it("finds every kind of symbol in its file", () => {
    const index = new SchemaIndex([FilaService.file, FilaAdmin.file, file_google_rpc_error_details, ...extended()]);
    for (const [symbol, file] of [
      ["fila.v1.FilaService", "fila/v1/service.proto"],
      ["fila.v1.FilaService.Enqueue", "fila/v1/service.proto"],
      ["fila.v1.EnqueueRequest", "fila/v1/service.proto"],
      ["fila.v1.EnqueueRequest.payload", "fila/v1/service.proto"],
      ["fila.v1.SETTLEMENT_ACTION_ACK", "fila/v1/service.proto"],
      ["fila.v1.SettlementAction", "fila/v1/service.proto"],
      ["fila.v1.Message", "fila/v1/messages.proto"],
      ["google.rpc.ErrorInfo", "google/rpc/error_details.proto"],
      ["google.protobuf.Timestamp", "google/protobuf/timestamp.proto"],
      ["base.Plain.Inner", "base.proto"],
      ["base.Plain.choice", "base.proto"],
      ["more.a", "more.proto"],
      ["more.Scope.b", "more.proto"],
      ["more.RED", "more.proto"],
    ] as const) {
      assert.equal(index.fileOf(symbol)?.proto.name, file, symbol);
    }
    for (const none of ["", "fila", "fila.v1", "fila.v1.", "constructor", "more.Color.RED", ".more.a"]) {
      assert.equal(index.fileOf(none), undefined, none);
    }
  });

  it("finds extensions by message and number", () => {
    const index = new SchemaIndex(extended());
    assert.deepEqual(index.extensionNumbers("base.Base"), [101, 150]);
    assert.deepEqual(index.extensionNumbers("base.Plain"), []);
    assert.equal(index.extensionNumbers("base.None"), undefined);
    assert.equal(index.fileOfExtension("base.Base", 150)?.proto.name, "more.proto");
    assert.equal(index.fileOfExtension("base.Base", 151), undefined);
    assert.equal(index.fileOfExtension("base.None", 150), undefined);
  });

  it("gives files as clients need them: complete, and with the names that JSON uses", () => {
    const index = new SchemaIndex([FilaService.file]);
    const file = fromBinary(FileDescriptorProtoSchema, index.encoded(FilaService.file));
    assert.deepEqual(file.dependency, FilaService.file.proto.dependency);
    assert.ok(file.dependency.length > 0);
    const field = file.messageType.find(({ name }) => name === "EnqueueRequest")?.field.find((f) => f.number === 16);
    assert.equal(field?.name, "fairness_key");
    assert.ok(
      isFieldSet(
        field,
        FileDescriptorProtoSchema.file.messages.find((m) => m.name === "FieldDescriptorProto")!.field["jsonName"]!,
      ),
    );
    assert.equal(field.jsonName, "fairnessKey");
  });
});
