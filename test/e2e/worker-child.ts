// A worker to be killed: node worker-child.ts URL QUEUE MODE. It prints one line per message and never settles.
//   holds  takes messages over the SDK, as fast as they come
//   deaf   reads the first COUNT messages off its StreamLease, prints "deaf", and reads nothing more
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { connect } from "@fila/sdk";
import { StreamLeaseRequestSchema, StreamLeaseResponseSchema } from "@fila/sdk/gen";

const [, , url = "", queue = "", mode = "", count = "0"] = process.argv;

async function hold(): Promise<void> {
  for await (const lease of connect(url).leases(queue, { prefetch: 10 })) process.stdout.write(`${lease.id}\n`);
}

async function turnDeaf(): Promise<void> {
  const stream = connectHttp2(url).request({
    ":method": "POST",
    ":path": "/fila.v1.FilaService/StreamLease",
    "content-type": "application/connect+proto",
  });
  const request = toBinary(
    StreamLeaseRequestSchema,
    create(StreamLeaseRequestSchema, { subscribe: { queue }, credit: 1000 }),
  );
  const header = Buffer.alloc(5);
  header.writeUInt32BE(request.length, 1);
  stream.write(Buffer.concat([header, request]));
  let received = Buffer.alloc(0);
  let messages = 0;
  while (messages < Number(count)) {
    await once(stream, "readable");
    for (let chunk = stream.read() as Buffer | null; chunk !== null; chunk = stream.read() as Buffer | null) {
      received = Buffer.concat([received, chunk]);
    }
    while (received.length >= 5 && received.length >= 5 + received.readUInt32BE(1)) {
      const end = 5 + received.readUInt32BE(1);
      messages += fromBinary(StreamLeaseResponseSchema, received.subarray(5, end)).messages.length;
      received = received.subarray(end);
    }
  }
  process.stdout.write("deaf\n");
}

await (mode === "deaf" ? turnDeaf() : hold());
