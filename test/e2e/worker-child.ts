// A worker to be killed: node worker-child.ts URL QUEUE MODE COUNT. It prints the id of each message, and never settles.
//   holds        takes messages over the SDK, as fast as they come
//   StreamLease, Consume
//                reads COUNT messages or some more, prints "deaf", and reads nothing more
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { connect } from "@fila/sdk";
import {
  ConsumeRequestSchema,
  ConsumeResponseSchema,
  StreamLeaseRequestSchema,
  StreamLeaseResponseSchema,
} from "@fila/sdk/gen";

const [, , url = "", queue = "", mode = "", count = "0"] = process.argv;

async function hold(): Promise<void> {
  for await (const lease of connect(url).leases(queue, { prefetch: 10 })) process.stdout.write(`${lease.id}\n`);
}

async function turnDeaf(method: "StreamLease" | "Consume"): Promise<void> {
  const stream = connectHttp2(url).request({
    ":method": "POST",
    ":path": `/fila.v1.FilaService/${method}`,
    "content-type": "application/connect+proto",
  });
  stream.write(
    envelope(
      method === "Consume"
        ? toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, { queue }))
        : toBinary(StreamLeaseRequestSchema, create(StreamLeaseRequestSchema, { subscribe: { queue }, credit: 1000 })),
    ),
  );
  if (method === "Consume") stream.end();
  let received = Buffer.alloc(0);
  let messages = 0;
  while (messages < Number(count)) {
    const chunk = stream.read() as Buffer | null;
    if (chunk === null) await once(stream, "readable");
    else received = Buffer.concat([received, chunk]);
    while (received.length >= 5 && received.length >= 5 + received.readUInt32BE(1)) {
      const end = 5 + received.readUInt32BE(1);
      const ids = idsIn(method, received.subarray(5, end));
      for (const id of ids) process.stdout.write(`${id}\n`);
      messages += ids.length;
      received = received.subarray(end);
    }
  }
  process.stdout.write("deaf\n");
}

function idsIn(method: "StreamLease" | "Consume", response: Uint8Array): string[] {
  if (method === "StreamLease") {
    return fromBinary(StreamLeaseResponseSchema, response).messages.map(({ message }) => message?.id ?? "");
  }
  const { message } = fromBinary(ConsumeResponseSchema, response);
  return message === undefined ? [] : [message.id];
}

function envelope(request: Uint8Array): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt32BE(request.length, 1);
  return Buffer.concat([header, request]);
}

await (mode === "StreamLease" || mode === "Consume" ? turnDeaf(mode) : hold());
