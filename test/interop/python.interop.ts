// Python's grpcio, with the fixed part of the contract only, as a published SDK of this protocol has it.
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { ServerProcess } from "../e2e/server-process.ts";
import { PythonProgram, generateStubs, listPromises } from "./python-program.ts";
import { suiteScope } from "./suite-scope.ts";

const scope = suiteScope();
// The fixed wire, error details, and gRPC's own services.
const stubs = generateStubs(scope, "test/interop/fixed-wire", "proto/third_party");
const promises = listPromises(stubs);

test("there are promises to show", () => assert.ok(promises.length >= 20, promises.join("\n")));

for (const api of ["sync", "asyncio"]) {
  describe(`Python, grpcio's ${api} API`, () => {
    let program: PythonProgram;
    before(async () => {
      program = new PythonProgram(scope, api, stubs, await ServerProcess.start(scope));
    });
    for (const promise of promises) test(promise, () => program.show(promise));
  });
}
