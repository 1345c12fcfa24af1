import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { create, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { ErrorInfoSchema } from "@fila/sdk/gen";
import { reflectionV1, reflectionV1alpha } from "@fila/sdk/gen/grpc";
import { defaultServerLimits } from "./server-limits.ts";
import { startFixture } from "./testing/rpc-fixture.ts";
import { transports } from "./testing/transports.ts";

type Asked =
  | {
      readonly case: "listServices" | "fileByFilename" | "fileContainingSymbol" | "allExtensionNumbersOfType";
      readonly value: string;
    }
  | { readonly case: "fileContainingExtension"; readonly value: { containingType: string; extensionNumber: number } }
  | { readonly case: undefined };
type Response = reflectionV1.ServerReflectionResponse | reflectionV1alpha.ServerReflectionResponse;

/** A stream on which one question is asked after the answer to the one before. */
class Conversation {
  readonly #responses: AsyncIterator<Response>;
  #ask = Promise.withResolvers<Asked | undefined>();

  constructor(call: (requests: AsyncIterable<Asked>) => AsyncIterable<Response>) {
    this.#responses = call(this.#requests())[Symbol.asyncIterator]();
  }

  async *#requests(): AsyncIterable<Asked> {
    for (;;) {
      const asked = await this.#ask.promise;
      if (asked === undefined) return;
      this.#ask = Promise.withResolvers();
      yield asked;
    }
  }

  async ask(asked: Asked): Promise<Response["messageResponse"]> {
    this.#ask.resolve(asked);
    const { done, value } = await this.#responses.next();
    assert.ok(done !== true, "the stream has ended");
    assert.equal(value.validHost, "here");
    assert.equal(value.originalRequest?.messageRequest.case, asked.case);
    return value.messageResponse;
  }

  /** Names of the files in the answer. */
  async files(asked: Asked): Promise<string[]> {
    const answer = await this.ask(asked);
    assert.equal(answer.case, "fileDescriptorResponse");
    return answer.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes).name);
  }

  /** The message of an answer NOT_FOUND. */
  async refusal(asked: Asked): Promise<string> {
    const answer = await this.ask(asked);
    assert.equal(answer.case, "errorResponse");
    assert.equal(answer.value.errorCode, Code.NotFound);
    return answer.value.errorMessage;
  }

  async end(): Promise<void> {
    this.#ask.resolve(undefined);
    assert.equal((await this.#responses.next()).done, true);
  }

  next(): Promise<unknown> {
    return this.#responses.next();
  }
}

const clients = {
  v1: (connect: (typeof transports)[string], url: string) => {
    const client = createClient(reflectionV1.ServerReflection, connect(url));
    return new Conversation((requests) =>
      client.serverReflectionInfo(
        (async function* () {
          for await (const messageRequest of requests)
            yield create(reflectionV1.ServerReflectionRequestSchema, { host: "here", messageRequest });
        })(),
      ),
    );
  },
  v1alpha: (connect: (typeof transports)[string], url: string) => {
    const client = createClient(reflectionV1alpha.ServerReflection, connect(url));
    return new Conversation((requests) =>
      client.serverReflectionInfo(
        (async function* () {
          for await (const messageRequest of requests)
            yield create(reflectionV1alpha.ServerReflectionRequestSchema, { host: "here", messageRequest });
        })(),
      ),
    );
  },
};

const bidirectional = Object.entries(transports).filter(([name]) => !name.endsWith("1.1"));
for (const [version, open] of Object.entries(clients)) {
  for (const [name, connect] of bidirectional) {
    describe(`reflection ${version} over ${name}`, () => {
      it("lists what is served", async (t) => {
        const { url } = await startFixture(t);
        const stream = open(connect, url);
        const answer = await stream.ask({ case: "listServices", value: "*" });
        assert.equal(answer.case, "listServicesResponse");
        assert.deepEqual(
          answer.value.service.map((service) => service.name),
          [
            "fila.v1.FilaAdmin",
            "fila.v1.FilaService",
            "grpc.health.v1.Health",
            "grpc.reflection.v1.ServerReflection",
            "grpc.reflection.v1alpha.ServerReflection",
          ],
        );
        await stream.end();
      });

      it("sends a file with its imports, and on one stream each import once", async (t) => {
        const { url } = await startFixture(t);
        const stream = open(connect, url);
        const files = await stream.files({ case: "fileByFilename", value: "fila/v1/service.proto" });
        assert.equal(files[0], "fila/v1/service.proto");
        assert.ok(files.includes("fila/v1/messages.proto"));
        assert.ok(files.includes("google/protobuf/timestamp.proto"));
        assert.equal(new Set(files).size, files.length);
        const again = await stream.files({ case: "fileContainingSymbol", value: "fila.v1.FilaService" });
        assert.deepEqual(again, ["fila/v1/service.proto"]);
        await stream.end();
        const other = open(connect, url);
        assert.deepEqual(await other.files({ case: "fileByFilename", value: "fila/v1/service.proto" }), files);
        await other.end();
      });

      it("says in the stream what it does not have, and goes on", async (t) => {
        const { url } = await startFixture(t);
        const stream = open(connect, url);
        assert.match(
          await stream.refusal({ case: "fileByFilename", value: "/etc/passwd" }),
          /no file "\/etc\/passwd".*list_services/,
        );
        assert.match(await stream.refusal({ case: "fileContainingSymbol", value: "fila.v1.None" }), /symbol/);
        assert.match(await stream.refusal({ case: "fileContainingSymbol", value: "" }), /symbol/);
        assert.match(await stream.refusal({ case: "allExtensionNumbersOfType", value: "fila.v1.None" }), /message/);
        const extension = { containingType: "fila.v1.Message", extensionNumber: 100 };
        assert.match(await stream.refusal({ case: "fileContainingExtension", value: extension }), /extension 100/);
        const numbers = await stream.ask({ case: "allExtensionNumbersOfType", value: "fila.v1.Message" });
        assert.equal(numbers.case, "allExtensionNumbersResponse");
        assert.deepEqual(numbers.value.extensionNumber, []);
        await stream.end();
      });

      it("refuses a request that asks for nothing", async (t) => {
        const { url } = await startFixture(t);
        const error = await open(connect, url)
          .ask({ case: undefined })
          .then(
            () => assert.fail("answered"),
            (reason: unknown) => ConnectError.from(reason),
          );
        assert.equal(Code[error.code], "InvalidArgument", error.message);
        assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "INVALID_REQUEST");
      });

      it("ends when the port closes", async (t) => {
        const { url, rpc } = await startFixture(t, { limits: { ...defaultServerLimits, lateBodyMs: 5 } });
        const stream = open(connect, url);
        await stream.ask({ case: "listServices", value: "" });
        // A grace without end: the stream must end by itself.
        const closed = rpc.close(60_000);
        const error = await stream.next().then(
          () => assert.fail("went on"),
          (reason: unknown) => ConnectError.from(reason),
        );
        assert.equal(Code[error.code], "Unavailable");
        assert.equal(error.findDetails(ErrorInfoSchema)[0]?.reason, "DRAINING");
        await closed;
      });
    });
  }
}
