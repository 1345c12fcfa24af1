// connect-node's client transports with the settings that serve them best: no compression, and flow-control windows
// that hold a frame (Node's 64 KiB would make every frame of 100 wait for a round trip).
import type { ClientHttp2Stream } from "node:http2";
import type { Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

const streamWindowBytes = 1 << 20;
const connectionWindowBytes = 16 << 20;

export function connectTransport(url: string): Transport {
  return createConnectTransport({ ...transportOptions(url), httpVersion: "2" });
}

export function grpcTransport(url: string): Transport {
  return createGrpcTransport(transportOptions(url));
}

function transportOptions(url: string): {
  baseUrl: string;
  acceptCompression: [];
  sessionManager: Http2SessionManager;
} {
  const sessionManager = new WideSessions(url, undefined, {
    settings: { initialWindowSize: streamWindowBytes, enablePush: false },
  });
  return { baseUrl: url, acceptCompression: [], sessionManager };
}

class WideSessions extends Http2SessionManager {
  override async request(...args: Parameters<Http2SessionManager["request"]>): Promise<ClientHttp2Stream> {
    const stream = await super.request(...args);
    stream.session?.setLocalWindowSize(connectionWindowBytes);
    return stream;
  }
}
