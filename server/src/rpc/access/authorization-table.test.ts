import assert from "node:assert/strict";
import { test } from "node:test";
import type { DescService } from "@bufbuild/protobuf";
import { FilaAdmin, FilaService } from "@fila/sdk/gen";
import { Health, reflectionV1, reflectionV1alpha } from "@fila/sdk/gen/grpc";
import {
  filaAdminRules,
  filaServiceRules,
  healthRules,
  httpRules,
  reflectionV1Rules,
  reflectionV1alphaRules,
  ruleOf,
} from "./authorization-table.ts";

const services: readonly (readonly [DescService, object])[] = [
  [FilaService, filaServiceRules],
  [FilaAdmin, filaAdminRules],
  [Health, healthRules],
  [reflectionV1.ServerReflection, reflectionV1Rules],
  [reflectionV1alpha.ServerReflection, reflectionV1alphaRules],
];

test("every RPC has a row, and every row is of an RPC", () => {
  for (const [service, rules] of services) {
    assert.deepEqual(Object.keys(rules).sort(), service.methods.map((method) => method.localName).sort());
    for (const { name } of service.methods) assert.ok(ruleOf(`/${service.typeName}/${name}`), name);
  }
});

test("paths of plain HTTP have rows; what is not served has none", () => {
  for (const [path, rule] of Object.entries(httpRules)) assert.equal(ruleOf(path), rule);
  assert.equal(ruleOf("/fila.v1.FilaAdmin/Nothing"), undefined);
  assert.equal(ruleOf("constructor"), undefined);
});

// What handlers and methods read their queues from differs; that they do is seen over the wire (authorization.test.ts).
test("a queue named on the wire is asked for by the methods of FilaService alone", () => {
  for (const [service, rules] of services) {
    for (const [name, rule] of Object.entries(rules as Record<string, { readonly scope: string }>)) {
      assert.equal(rule.scope === "queue named", service === FilaService, name);
    }
  }
});
