// grpc.reflection.v1 and v1alpha, which differ in their name only: how grpcurl, buf curl and Postman learn what can be
// called here.
import type { DescFile, DescService } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import type { HandlerContext } from "@connectrpc/connect";
import type { reflectionV1, reflectionV1alpha } from "@fila/sdk/gen/grpc";
import { failure } from "../core/errors.ts";
import { connectError } from "./connect-error.ts";
import { SchemaIndex } from "./schema-index.ts";
import { stopping } from "./wire/failure-wire.ts";

type Request = reflectionV1.ServerReflectionRequest | reflectionV1alpha.ServerReflectionRequest;

export interface ReflectionOptions {
  /** What is listed. */
  readonly services: readonly DescService[];
  /** What can be asked for beside the files of the services: messages in the details of errors. */
  readonly files: readonly DescFile[];
  /** Aborts when the port closes: streams end. */
  readonly closing: AbortSignal;
}

/** The one method of both services. */
export function reflection({ services, files, closing }: ReflectionOptions) {
  const index = new SchemaIndex([...services.map(({ file }) => file), ...files]);
  const listed = services.map(({ typeName }) => ({ name: typeName })).sort((a, b) => (a.name < b.name ? -1 : 1));

  function answer({ messageRequest: asked }: Request, sent: Set<DescFile>) {
    switch (asked.case) {
      case "listServices":
        return { case: "listServicesResponse" as const, value: { service: listed } };
      case "fileByFilename":
        return fileAnswer(index.file(asked.value), `file ${shown(asked.value)}`, sent);
      case "fileContainingSymbol":
        return fileAnswer(index.fileOf(asked.value), `symbol ${shown(asked.value)}`, sent);
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = asked.value;
        const file = index.fileOfExtension(containingType, extensionNumber);
        return fileAnswer(file, `extension ${extensionNumber} of ${shown(containingType)}`, sent);
      }
      case "allExtensionNumbersOfType": {
        const extensionNumber = index.extensionNumbers(asked.value);
        if (extensionNumber === undefined) return notFound(`message ${shown(asked.value)}`);
        return {
          case: "allExtensionNumbersResponse" as const,
          value: { baseTypeName: asked.value, extensionNumber },
        };
      }
      case undefined:
        throw connectError(
          failure("INVALID_REQUEST", "the request asks for nothing; set one of the fields of message_request", {
            field: "message_request",
          }),
        );
    }
  }

  /** With all imports that this stream has not seen yet, as grpc-go does: most clients then need not ask again. */
  function fileAnswer(file: DescFile | undefined, what: string, sent: Set<DescFile>) {
    if (file === undefined) return notFound(what);
    const files = new Set([file]);
    for (const each of files) {
      for (const imported of each.dependencies) if (!sent.has(imported)) files.add(imported);
    }
    for (const each of files) sent.add(each);
    return {
      case: "fileDescriptorResponse" as const,
      value: { fileDescriptorProto: [...files].map((each) => index.encoded(each)) },
    };
  }

  return async function* serverReflectionInfo<R extends Request>(requests: AsyncIterable<R>, _: HandlerContext) {
    const sent = new Set<DescFile>();
    for await (const request of untilClosing(requests, closing)) {
      yield { validHost: request.host, originalRequest: request, messageResponse: answer(request, sent) };
    }
  };
}

function notFound(what: string) {
  const errorMessage = `this broker has no ${what}; list_services shows what it serves`;
  return { case: "errorResponse" as const, value: { errorCode: Code.NotFound, errorMessage } };
}

function shown(name: string): string {
  return JSON.stringify(name.length > 200 ? `${name.slice(0, 200)}...` : name);
}

/** Passes on what comes until the port closes, and throws then, even while nothing comes. */
async function* untilClosing<T>(requests: AsyncIterable<T>, closing: AbortSignal): AsyncIterable<T> {
  const iterator = requests[Symbol.asyncIterator]();
  let interrupt = (): void => {};
  const onClosing = (): void => interrupt();
  closing.addEventListener("abort", onClosing);
  try {
    for (;;) {
      // Not Promise.race with one promise for all rounds: that would keep something of each round.
      const next = await new Promise<IteratorResult<T>>((resolve, reject) => {
        interrupt = () => reject(connectError(stopping()));
        iterator.next().then(resolve, reject);
        if (closing.aborted) interrupt();
      });
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    closing.removeEventListener("abort", onClosing);
    // Not awaited: it would wait for the request that does not come.
    iterator.return?.().catch(() => undefined);
  }
}
