"""One face for grpcio's two APIs, so that every scenario is written once and runs through both."""

import asyncio
import itertools

import grpc
from fila.v1 import fixed_wire_pb2 as wire
from fila.v1 import fixed_wire_pb2_grpc as stubs

# A call that takes longer fails: nothing in a scenario takes anywhere near that long.
DEADLINE_S = 30

queue_numbers = itertools.count(1)


class Client:
    """What the two APIs share. A subclass brings the channel and the three ways to use it."""

    def __init__(self, api, channel, ask):
        self.api = api
        self.channel = channel
        self.service = stubs.FilaServiceStub(channel)
        self.admin = stubs.FilaAdminStub(channel)
        # Asks whoever runs the scenarios to do something to the broker's process: "terminate", "kill" or "start".
        self.ask = ask

    async def call(self, method, request, **options):
        """One unary call; raises grpc.RpcError."""
        raise NotImplementedError

    def open(self, method, *request):
        """A streaming call. An object with headers(), read(), cancel() and, for a bidirectional one, write()."""
        raise NotImplementedError

    async def close(self):
        raise NotImplementedError

    async def new_queue(self, **config):
        name = f"{self.api}-{next(queue_numbers)}"
        await self.create_queue(name, **config)
        return name

    async def create_queue(self, name, **config):
        request = wire.CreateQueueRequest(name=name, config=wire.QueueConfig(**config))
        return (await self.call(self.admin.CreateQueue, request)).queue_id

    async def enqueue(self, queue, payload=b"", headers=None, **options):
        request = wire.EnqueueRequest(queue=queue, headers=headers or {}, payload=payload)
        return (await self.call(self.service.Enqueue, request, **options)).message_id

    async def ack(self, queue, message_id):
        await self.call(self.service.Ack, wire.AckRequest(queue=queue, message_id=message_id))

    async def nack(self, queue, message_id, error="not now"):
        await self.call(self.service.Nack, wire.NackRequest(queue=queue, message_id=message_id, error=error))

    async def stats(self, queue):
        return await self.call(self.admin.GetStats, wire.GetStatsRequest(queue=queue))

    def consume(self, queue, **options):
        return Consumer(self.open(self.service.Consume, wire.ConsumeRequest(queue=queue), **options))


class Consumer:
    def __init__(self, stream):
        self.stream = stream

    async def headers(self):
        return dict(list(await self.stream.headers()))

    async def next(self):
        """The next message. Responses without one carry no delivery, and SDKs skip them."""
        while True:
            response = await self.stream.read()
            if response.HasField("message"):
                return response.message

    def cancel(self):
        self.stream.cancel()


async def within_deadline(waiting, cancel):
    """Awaits; after the deadline it cancels the call, because a call that hangs would hold its thread."""
    try:
        return await asyncio.wait_for(asyncio.shield(waiting), DEADLINE_S)
    except asyncio.TimeoutError:
        cancel()
        await asyncio.wait([waiting])
        raise AssertionError(f"nothing came within {DEADLINE_S} s") from None


class StreamEnded(Exception):
    """A stream that is to go on ended with OK."""


class SyncStream:
    def __init__(self, call):
        self.call = call

    async def headers(self):
        return await within_deadline(asyncio.ensure_future(asyncio.to_thread(self.call.initial_metadata)), self.cancel)

    async def read(self):
        return await within_deadline(asyncio.ensure_future(asyncio.to_thread(self.read_blocking)), self.cancel)

    def read_blocking(self):
        for response in self.call:
            return response
        raise StreamEnded()

    def cancel(self):
        self.call.cancel()


class SyncClient(Client):
    """The synchronous API. Its calls block, so each has a thread."""

    def __init__(self, target, ask):
        super().__init__("sync", grpc.insecure_channel(target), ask)

    async def call(self, method, request, **options):
        return await asyncio.to_thread(method, request, timeout=DEADLINE_S, **options)

    def open(self, method, request, **options):
        return SyncStream(method(request, **options))

    async def close(self):
        self.channel.close()


class AsyncioStream:
    def __init__(self, call):
        self.call = call

    async def headers(self):
        return await within_deadline(asyncio.ensure_future(self.call.initial_metadata()), self.cancel)

    async def read(self):
        response = await within_deadline(asyncio.ensure_future(self.call.read()), self.cancel)
        if response is grpc.aio.EOF:
            raise StreamEnded()
        return response

    def cancel(self):
        self.call.cancel()


class AsyncioClient(Client):
    """The asyncio API."""

    def __init__(self, target, ask):
        super().__init__("asyncio", grpc.aio.insecure_channel(target), ask)

    async def call(self, method, request, **options):
        return await method(request, timeout=DEADLINE_S, **options)

    def open(self, method, request, **options):
        return AsyncioStream(method(request, **options))

    async def close(self):
        await self.channel.close()


CLIENTS = {"sync": SyncClient, "asyncio": AsyncioClient}
