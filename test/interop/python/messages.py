"""Enqueue, Consume, Ack and Nack, as a published SDK uses them."""

import asyncio
import uuid

import grpc
from errors import expect, failure_of
from fila.v1 import fixed_wire_pb2 as wire
from promises import promise

MIB = 1024 * 1024
NOT_FOUND = grpc.StatusCode.NOT_FOUND
INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT


@promise("what was enqueued is consumed: same id, headers and payload, attempt_count 0, queue_id is the queue's name")
async def lifecycle(client):
    queue = await client.new_queue()
    headers = {"trace": "a: b", "größe": "10 €", "empty": ""}
    payload = bytes(range(256))
    message_id = await client.enqueue(queue, payload, headers)
    assert str(uuid.UUID(message_id)) == message_id
    consumer = client.consume(queue)
    message = await consumer.next()
    assert (message.id, dict(message.headers), message.payload) == (message_id, headers, payload), message
    assert (message.metadata.attempt_count, message.metadata.queue_id) == (0, queue), message
    times = message.timestamps
    assert 0 < times.enqueued_at.ToMilliseconds() <= times.leased_at.ToMilliseconds(), times
    await client.ack(queue, message_id)
    assert (await client.stats(queue)).depth == 0
    consumer.cancel()


@promise("a nacked message comes again on the same stream, with attempt_count 1, then 2")
async def nack(client):
    queue = await client.new_queue()
    message_id = await client.enqueue(queue, b"again")
    consumer = client.consume(queue)
    for attempts in range(3):
        message = await consumer.next()
        seen = (message.id, message.payload, message.metadata.attempt_count)
        assert seen == (message_id, b"again", attempts), message
        if attempts < 2:
            await client.nack(queue, message_id, "failed: no: route")
    await client.ack(queue, message_id)
    assert (await client.stats(queue)).depth == 0
    consumer.cancel()


@promise("a stream that is dropped with an unsettled message: a new stream gets it, with attempt_count 1")
async def dropped_stream(client):
    queue = await client.new_queue()
    message_id = await client.enqueue(queue)
    first = client.consume(queue)
    assert (await first.next()).metadata.attempt_count == 0
    first.cancel()
    second = client.consume(queue)
    message = await second.next()
    assert (message.id, message.metadata.attempt_count) == (message_id, 1), message
    await client.ack(queue, message_id)
    second.cancel()


@promise("an unknown queue is NOT_FOUND at once, for Enqueue and for Consume")
async def unknown_queue(client):
    await expect(NOT_FOUND, "QUEUE_NOT_FOUND", client.enqueue("no such queue"))
    await expect(NOT_FOUND, "QUEUE_NOT_FOUND", client.consume("no such queue").next())


@promise("a Consume ends with NOT_FOUND when its queue is deleted")
async def deleted_queue(client):
    queue = await client.new_queue()
    consumer = client.consume(queue)
    await consumer.headers()
    await client.call(client.admin.DeleteQueue, wire.DeleteQueueRequest(queue=queue))
    await expect(NOT_FOUND, "QUEUE_NOT_FOUND", consumer.next())


@promise("the initial metadata of Consume comes at subscription, before there is any message")
async def initial_metadata(client):
    queue = await client.new_queue()
    consumer = client.consume(queue)
    await consumer.headers()
    stats = await client.stats(queue)
    assert (stats.depth, stats.active_consumers) == (0, 1), stats
    message_id = await client.enqueue(queue)
    assert (await consumer.next()).id == message_id
    consumer.cancel()


@promise("a client may hold 100 messages before its first ack; 128 is the cap, and the 129th comes after an ack")
async def held_messages(client):
    queue = await client.new_queue()
    for at in range(130):
        await client.enqueue(queue, b"%d" % at)
    consumer = client.consume(queue)
    held = [await consumer.next() for _ in range(100)]
    held += [await consumer.next() for _ in range(28)]
    stats = await client.stats(queue)
    assert (stats.depth, stats.in_flight) == (130, 128), stats
    await client.ack(queue, held[0].id)
    held.append(await consumer.next())
    stats = await client.stats(queue)
    assert (stats.depth, stats.in_flight) == (129, 128), stats
    await client.ack(queue, held[128].id)
    held.append(await consumer.next())
    assert [message.payload for message in held] == [b"%d" % at for at in range(130)]
    for message in held[1:128] + held[129:]:
        await client.ack(queue, message.id)
    assert (await client.stats(queue)).depth == 0
    consumer.cancel()


@promise("ack and nack of a message that is unknown, waiting, or settled before are NOT_FOUND")
async def unknown_message(client):
    queue = await client.new_queue()
    settled = await client.enqueue(queue)
    consumer = client.consume(queue)
    await consumer.next()
    await client.ack(queue, settled)
    consumer.cancel()
    for settle in (client.ack, client.nack):
        await expect(NOT_FOUND, "MESSAGE_NOT_FOUND", settle(queue, settled))
        await expect(NOT_FOUND, "MESSAGE_NOT_FOUND", settle(queue, str(uuid.uuid4())))
        await expect(NOT_FOUND, "QUEUE_NOT_FOUND", settle("no such queue", settled))


@promise("two consumers share a queue, and no message is delivered to both")
async def two_consumers(client):
    queue = await client.new_queue()
    consumers = [client.consume(queue) for _ in range(2)]
    for consumer in consumers:
        await consumer.headers()
    sent = [await client.enqueue(queue) for _ in range(256)]

    async def hold_all(consumer):
        return [(await consumer.next()).id for _ in range(128)]

    held = await asyncio.gather(*map(hold_all, consumers))
    assert sorted(held[0] + held[1]) == sorted(sent)
    for consumer in consumers:
        consumer.cancel()


@promise("200 calls at once over one channel are all answered, each with an id of its own")
async def many_calls(client):
    queue = await client.new_queue()
    ids = await asyncio.gather(*(client.enqueue(queue, b"x" * 1000) for _ in range(200)))
    assert len(set(ids)) == 200
    assert (await client.stats(queue)).depth == 200


@promise("a payload of 1 MiB passes both ways; a larger one is refused with a clear status, and the channel goes on")
async def large_messages(client):
    queue = await client.new_queue()
    payload = bytes(range(256)) * (MIB // 256)
    message_id = await client.enqueue(queue, payload)
    for size in (MIB + 1, 3 * MIB, 8 * MIB):
        failure = await expect(INVALID_ARGUMENT, "MESSAGE_TOO_LARGE", client.enqueue(queue, b"x" * size))
        assert "limit" in failure.text, failure
    consumer = client.consume(queue)
    message = await consumer.next()
    assert (message.id, message.payload == payload) == (message_id, True)
    await client.ack(queue, message_id)
    assert (await client.stats(queue)).depth == 0
    consumer.cancel()


@promise("a compressed request is refused with UNIMPLEMENTED and the remedy, not misread")
async def compression(client):
    queue = await client.new_queue()
    call = client.enqueue(queue, b"x" * 10_000, compression=grpc.Compression.Gzip)
    failure = await failure_of(call)
    assert failure.code == grpc.StatusCode.UNIMPLEMENTED, failure
    assert "send requests uncompressed" in failure.text, failure
    assert (await client.stats(queue)).depth == 0
