"""Reads what a failed call says: its status, and the details that Google's error model puts into a trailer."""

import grpc
from google.rpc import error_details_pb2, status_pb2


class Failure:
    def __init__(self, error):
        self.code = error.code()
        self.text = error.details()
        self.info = None
        self.bad_request = None
        # Pairs in both APIs; asyncio's own class of metadata is no mapping that dict() could take as it is.
        trailers = dict(list(error.trailing_metadata() or ()))
        status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
        self.status = status
        for detail in status.details:
            if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
                self.info = error_details_pb2.ErrorInfo()
                detail.Unpack(self.info)
            if detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
                self.bad_request = error_details_pb2.BadRequest()
                detail.Unpack(self.bad_request)

    def __str__(self):
        return f"{self.code} {self.text!r} {self.info}"


async def failure_of(call):
    """The failure that an awaitable must end in."""
    try:
        answer = await call
    except grpc.RpcError as error:
        return Failure(error)
    raise AssertionError(f"must fail, but answered {answer!r}")


async def expect(code, reason, call):
    """The call must fail with this status code and this reason."""
    failure = await failure_of(call)
    assert failure.code == code, f"{code} expected, but was {failure}"
    assert failure.info is not None, f"no google.rpc.ErrorInfo in {failure}"
    assert failure.info.reason == reason, f"{reason} expected, but was {failure}"
    return failure
