// Frames of HTTP/2 by hand, for what node:http2 as a client never sends (it ends a request before it resets it).
const CLIENT_PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const END_HEADERS = 4;

function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** HPACK, literal and not indexed; names and values below 127 bytes. */
function literal(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name),
    Buffer.from([value.length]),
    Buffer.from(value),
  ]);
}

/** A connection on which stream 1 sends headers and a part of its body, and is then reset. */
export function requestThenReset(path: string, contentType: string, part: Uint8Array): Buffer {
  const headers = {
    ":method": "POST",
    ":scheme": "http",
    ":authority": "a",
    ":path": path,
    "content-type": contentType,
  };
  return Buffer.concat([
    Buffer.from(CLIENT_PREFACE),
    frame(SETTINGS, 0, 0, new Uint8Array()),
    frame(HEADERS, END_HEADERS, 1, Buffer.concat(Object.entries(headers).map(([name, value]) => literal(name, value)))),
    frame(DATA, 0, 1, part),
    frame(RST_STREAM, 0, 1, Buffer.from([0, 0, 0, 8])),
  ]);
}
