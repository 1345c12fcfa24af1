// What a broker serves, as descriptors: found by file, by symbol and by extension, for server reflection.
import type { DescEnum, DescExtension, DescFile, DescMessage, DescService } from "@bufbuild/protobuf";
import { toBinary } from "@bufbuild/protobuf";
import { nestedTypes } from "@bufbuild/protobuf/reflect";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";

export class SchemaIndex {
  /** By name, like "fila/v1/messages.proto". */
  readonly #files = new Map<string, DescFile>();
  /** By full name, like "fila.v1.FilaService.Enqueue". */
  readonly #symbols = new Map<string, DescFile>();
  /** Messages that may be extended, with their extensions by number. */
  readonly #extensions = new Map<string, Map<number, DescFile>>();
  readonly #encoded = new Map<DescFile, Uint8Array>();

  /** The files and everything that they import. */
  constructor(files: readonly DescFile[]) {
    for (const file of files) this.#addFile(file);
  }

  file(name: string): DescFile | undefined {
    return this.#files.get(name);
  }

  /** The file that defines the message, field, oneof, enum, enum value, service, method or extension. */
  fileOf(symbol: string): DescFile | undefined {
    return this.#symbols.get(symbol);
  }

  fileOfExtension(message: string, number: number): DescFile | undefined {
    return this.#extensions.get(message)?.get(number);
  }

  /** Undefined: there is no such message. */
  extensionNumbers(message: string): number[] | undefined {
    const known = this.#extensions.get(message);
    return known === undefined ? undefined : [...known.keys()].sort((a, b) => a - b);
  }

  /** google.protobuf.FileDescriptorProto in wire form. */
  encoded(file: DescFile): Uint8Array {
    let bytes = this.#encoded.get(file);
    if (bytes === undefined) this.#encoded.set(file, (bytes = toBinary(FileDescriptorProtoSchema, file.proto)));
    return bytes;
  }

  #addFile(file: DescFile): void {
    if (this.#files.has(file.proto.name)) return;
    this.#files.set(file.proto.name, file);
    for (const imported of file.dependencies) this.#addFile(imported);
    for (const type of nestedTypes(file)) {
      for (const symbol of symbolsOf(type)) this.#symbols.set(symbol, file);
      if (type.kind === "message") this.#extensionsOf(type.typeName);
      if (type.kind === "extension") this.#extensionsOf(type.extendee.typeName).set(type.number, file);
    }
  }

  #extensionsOf(message: string): Map<number, DescFile> {
    let known = this.#extensions.get(message);
    if (known === undefined) this.#extensions.set(message, (known = new Map<number, DescFile>()));
    return known;
  }
}

function symbolsOf(type: DescMessage | DescEnum | DescService | DescExtension): string[] {
  const inside = (names: readonly { readonly name: string }[]): string[] =>
    names.map(({ name }) => `${type.typeName}.${name}`);
  switch (type.kind) {
    case "message":
      return [type.typeName, ...inside(type.fields), ...inside(type.oneofs)];
    case "service":
      return [type.typeName, ...inside(type.methods)];
    case "extension":
      return [type.typeName];
    case "enum": {
      // As in C, values stand beside their enum and not within it.
      const scope = type.typeName.slice(0, -type.name.length);
      return [type.typeName, ...type.values.map((value) => `${scope}${value.name}`)];
    }
  }
}
