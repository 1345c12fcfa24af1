"""FilaAdmin's queues, and how errors reach a program."""

import grpc
from errors import expect, failure_of
from fila.v1 import fixed_wire_pb2 as wire
from promises import promise

INVALID_ARGUMENT = grpc.StatusCode.INVALID_ARGUMENT


@promise("CreateQueue answers with the queue's name; a second time it is ALREADY_EXISTS; an empty name INVALID_ARGUMENT")
async def create_queue(client):
    name = f"{client.api}: created, größer"
    assert await client.create_queue(name, visibility_timeout_ms=1000) == name
    await expect(grpc.StatusCode.ALREADY_EXISTS, "QUEUE_EXISTS", client.create_queue(name))
    await expect(INVALID_ARGUMENT, "INVALID_QUEUE_NAME", client.create_queue(""))
    await expect(INVALID_ARGUMENT, "INVALID_FIELD", client.create_queue("short", visibility_timeout_ms=999))


@promise("ListQueues and GetStats count what waits, what is leased and who consumes")
async def counting(client):
    queue = await client.new_queue()
    ids = [await client.enqueue(queue) for _ in range(3)]
    consumer = client.consume(queue)
    for _ in ids:
        await consumer.next()
    await client.ack(queue, ids[0])
    stats = await client.stats(queue)
    assert (stats.depth, stats.in_flight, stats.active_consumers, stats.quantum) == (2, 2, 1, 1), stats
    listed = await client.call(client.admin.ListQueues, wire.ListQueuesRequest())
    (info,) = [info for info in listed.queues if info.name == queue]
    assert (info.depth, info.in_flight, info.active_consumers) == (2, 2, 1), info
    consumer.cancel()
    waiting = await client.new_queue()
    for _ in range(5):
        await client.enqueue(waiting)
    stats = await client.stats(waiting)
    assert (stats.depth, stats.in_flight, stats.active_fairness_keys) == (5, 0, 1), stats
    assert [(key.key, key.pending_count) for key in stats.per_key_stats] == [("default", 5)], stats


@promise("DeleteQueue takes the queue away; a second time it is NOT_FOUND")
async def delete_queue(client):
    queue = await client.new_queue()
    await client.enqueue(queue)
    request = wire.DeleteQueueRequest(queue=queue)
    await client.call(client.admin.DeleteQueue, request)
    for call in (client.call(client.admin.DeleteQueue, request), client.stats(queue), client.enqueue(queue)):
        await expect(grpc.StatusCode.NOT_FOUND, "QUEUE_NOT_FOUND", call)
    listed = await client.call(client.admin.ListQueues, wire.ListQueuesRequest())
    assert queue not in [info.name for info in listed.queues]


@promise("grpc-status-details-bin holds google.rpc.ErrorInfo and, for a bad field, BadRequest")
async def error_details(client):
    failure = await failure_of(client.create_queue(""))
    assert (failure.info.reason, failure.info.domain) == ("INVALID_QUEUE_NAME", "fila"), failure
    assert failure.status.code == failure.code.value[0] == 3, failure
    assert failure.status.message == failure.text, failure
    (violation,) = failure.bad_request.field_violations
    assert violation.field == "name" and violation.description != "", violation
    failure = await failure_of(client.enqueue("nobody"))
    assert failure.info.metadata["queue"] == "nobody", failure


@promise("the text of an error is readable, with colons, quotes, percent signs and letters beyond ASCII in it")
async def readable_text(client):
    for name in ("a:b", "100% \"x\"", "größer: 漢字 🙂"):
        failure = await failure_of(client.enqueue(name))
        assert f'queue "{name}" does not exist' in failure.text, failure.text
        assert "%3A" not in failure.text, failure.text
