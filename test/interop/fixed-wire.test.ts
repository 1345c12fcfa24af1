// Published SDKs speak the fixed part of the contract: proto/ must hold all of it, as it is.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type DescField, type FileRegistry, createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { root } from "../e2e/server-process.ts";

function registryOf(folder: string): FileRegistry {
  const buf = join(root, "node_modules/.bin/buf");
  const image = execFileSync(buf, ["build", join(root, folder), "-o", "-#format=binpb"], { cwd: root });
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
}

/** All that decides how a field looks on the wire and in JSON. */
function fieldLine(field: DescField): string {
  const kind = field.fieldKind === "list" ? `list of ${field.listKind}` : field.fieldKind;
  const element = field.message?.typeName ?? field.enum?.typeName ?? field.scalar;
  const key = field.fieldKind === "map" ? ` by ${field.mapKey}` : "";
  const group = field.oneof === undefined ? "" : ` in ${field.oneof.name}`;
  return `${field.jsonName} = ${field.number}: ${kind} ${element}${key}, presence ${field.presence}${group}`;
}

/** Every RPC and every field of the package, one line each. */
function linesOf(registry: FileRegistry): Set<string> {
  const lines = new Set<string>();
  for (const type of registry) {
    if (type.kind !== "message" && type.kind !== "service") continue;
    if (!type.typeName.startsWith("fila.v1.")) continue;
    lines.add(type.typeName);
    if (type.kind === "message") for (const field of type.fields) lines.add(`${type.typeName}.${fieldLine(field)}`);
    if (type.kind === "service") {
      for (const { name, methodKind, input, output } of type.methods)
        lines.add(`${type.typeName}/${name}: ${methodKind} ${input.typeName} -> ${output.typeName}`);
    }
  }
  return lines;
}

describe("the fixed wire", () => {
  const fixed = linesOf(registryOf("test/interop/fixed-wire"));
  const ours = registryOf("proto");

  test("is whole: 2 services, 17 procedures, and fields that are looked at one by one", () => {
    const services = [...fixed].filter((line) => line.includes("/"));
    assert.equal(services.length, 17);
    assert.ok(
      fixed.has("fila.v1.FilaService/Consume: server_streaming fila.v1.ConsumeRequest -> fila.v1.ConsumeResponse"),
    );
    assert.ok(fixed.has("fila.v1.EnqueueRequest.headers = 2: map 9 by 9, presence 2"));
    assert.ok(fixed.size > 100);
  });

  test("is a part of the contract, field by field and procedure by procedure", () => {
    assert.deepEqual([...fixed.difference(linesOf(ours))], []);
  });

  test("keeps its numbers to itself: what its messages gained is numbered from 16", () => {
    const fixedMessages = new Set([...fixed].filter((line) => !/[:/]/.test(line)));
    const added = [...linesOf(ours).difference(fixed)].filter((line) =>
      fixedMessages.has(line.split(/\.(?=\w+ = )/)[0]!),
    );
    assert.ok(added.length > 5, "the contract has added fields");
    assert.deepEqual(
      added.filter((line) => Number(/ = (\d+):/.exec(line)?.[1]) < 16),
      [],
    );
  });
});
