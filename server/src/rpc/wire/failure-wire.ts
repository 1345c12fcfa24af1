// Failures as the protocols carry them: a status code and details of google.rpc.
import { failure, reasons } from "../../core/errors.ts";
import type { ErrorCode, Failure, Reason } from "../../core/errors.ts";
import { WireWriter } from "./wire-writer.ts";

const domain = "fila";

/** Reasons that only a transport can have: the core knows no deadlines of calls, and no services. */
export const transportReasons = {
  SERVICE_NOT_FOUND: "not_found",
  DEADLINE_EXCEEDED: "deadline_exceeded",
} as const satisfies Record<string, ErrorCode>;

/** A failure of the broker, or of the transport in front of it. */
export interface WireFailure extends Omit<Failure, "reason"> {
  readonly reason: Reason | keyof typeof transportReasons;
}

const codeNames: Readonly<Record<WireFailure["reason"], ErrorCode>> = { ...reasons, ...transportReasons };

/** Each code's number in gRPC, and the HTTP status that Connect gives it. */
const codes: Readonly<Record<ErrorCode, { readonly number: number; readonly http: number }>> = {
  invalid_argument: { number: 3, http: 400 },
  deadline_exceeded: { number: 4, http: 504 },
  not_found: { number: 5, http: 404 },
  already_exists: { number: 6, http: 409 },
  permission_denied: { number: 7, http: 403 },
  resource_exhausted: { number: 8, http: 429 },
  failed_precondition: { number: 9, http: 400 },
  unimplemented: { number: 12, http: 501 },
  internal: { number: 13, http: 500 },
  unavailable: { number: 14, http: 503 },
  unauthenticated: { number: 16, http: 401 },
};

/** A google.protobuf.Any: the full name of the message (no "type.googleapis.com/" before it) and its wire form. */
export interface StatusDetail {
  readonly type: string;
  readonly value: Uint8Array;
}

export interface StatusDetails {
  /** gRPC's number. */
  readonly code: number;
  /** The code's name in the Connect protocol. */
  readonly name: ErrorCode;
  readonly httpStatus: number;
  readonly message: string;
  readonly details: readonly StatusDetail[];
}

export function codeOf(failed: WireFailure): number {
  return codes[codeNames[failed.reason]].number;
}

/** ErrorInfo always; BadRequest when a field is named; RetryInfo when trying again makes sense. */
export function failureToStatusDetails(failed: WireFailure): StatusDetails {
  const name = codeNames[failed.reason];
  const details: StatusDetail[] = [{ type: "google.rpc.ErrorInfo", value: errorInfo(failed) }];
  if (failed.field !== undefined) details.push({ type: "google.rpc.BadRequest", value: badRequest(failed) });
  if (failed.retryAfterMs !== undefined) {
    details.push({ type: "google.rpc.RetryInfo", value: retryInfo(failed.retryAfterMs) });
  }
  return { code: codes[name].number, name, httpStatus: codes[name].http, message: failed.message, details };
}

/** google.rpc.Status in wire form, for the trailer grpc-status-details-bin. */
export function statusBytes(status: StatusDetails): Uint8Array {
  const out = new WireWriter(512);
  out.uint32Field(1, status.code);
  out.stringField(2, status.message);
  for (const detail of status.details) {
    out.begin(3, detail.value.length + 60);
    out.stringField(1, `type.googleapis.com/${detail.type}`);
    out.bytesField(2, detail.value);
    out.finish();
  }
  return out.take();
}

/** The error of the Connect protocol: the body of a unary answer, or "error" in the end of a stream. */
export function connectError(status: StatusDetails): object {
  return {
    code: status.name,
    message: status.message,
    details: status.details.map(({ type, value }) => ({ type, value: unpaddedBase64(value) })),
  };
}

export function unpaddedBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64").replace(/=+$/, "");
}

function errorInfo(failed: WireFailure): Uint8Array {
  const out = new WireWriter(256);
  out.stringField(1, failed.reason);
  out.stringField(2, domain);
  for (const [key, value] of Object.entries(failed.metadata ?? {})) {
    out.begin(3, key.length + value.length + 4);
    out.stringField(1, key);
    out.stringField(2, value);
    out.finish();
  }
  return out.take();
}

function badRequest(failed: WireFailure): Uint8Array {
  const out = new WireWriter(256);
  out.begin(1, 100);
  out.stringField(1, failed.field ?? "");
  out.stringField(2, failed.message);
  out.finish();
  return out.take();
}

function retryInfo(retryAfterMs: number): Uint8Array {
  const out = new WireWriter(32);
  out.begin(1, 12);
  out.uint64Field(1, Math.floor(retryAfterMs / 1000));
  out.uint32Field(2, Math.round((retryAfterMs % 1000) * 1e6));
  out.finish();
  return out.take();
}

/** What ends a stream that its client may open again elsewhere, or here after the restart. */
export function stopping(): Failure {
  return failure("DRAINING", "the broker is about to stop; connect again", { retryAfterMs: 1000 });
}

export function deadlineExceeded(message: string): WireFailure {
  return { reason: "DEADLINE_EXCEEDED", message };
}
