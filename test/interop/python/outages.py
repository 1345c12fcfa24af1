"""The broker goes away and comes back; the same client, with the channel that it has, goes on."""

import grpc
from errors import Failure, expect, failure_of
from promises import promise

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


async def goes_on(client, queue, waiting):
    """After a restart: what waited is there, with its attempts; new messages pass."""
    consumer = client.consume(queue, wait_for_ready=True)
    for message_id, attempts in waiting:
        message = await consumer.next()
        assert (message.id, message.metadata.attempt_count) == (message_id, attempts), message
        await client.ack(queue, message_id)
    message_id = await client.enqueue(queue, b"after", wait_for_ready=True)
    message = await consumer.next()
    assert (message.id, message.payload) == (message_id, b"after"), message
    await client.ack(queue, message_id)
    assert (await client.stats(queue)).depth == 0
    consumer.cancel()


@promise("SIGTERM ends a Consume with UNAVAILABLE and its reason; after the restart the same client goes on")
async def terminated(client):
    queue = await client.new_queue()
    consumer = client.consume(queue)
    await consumer.headers()
    ended = await client.ask("terminate")
    await expect(UNAVAILABLE, "DRAINING", consumer.next())
    assert ended == 0, f"the broker ended with {ended}"
    assert (await failure_of(client.enqueue(queue))).code == UNAVAILABLE
    await client.ask("start")
    await goes_on(client, queue, [])


@promise("a client that holds a message at SIGTERM may still ack it; then its stream ends, and the ack stands")
async def terminated_while_holding(client):
    queue = await client.new_queue()
    held = await client.enqueue(queue)
    other = await client.enqueue(queue)
    consumer = client.consume(queue)
    await consumer.next()
    await consumer.next()
    await client.ask("begin to terminate")
    await client.ack(queue, held)
    await client.nack(queue, other)
    await expect(UNAVAILABLE, "DRAINING", consumer.next())
    assert await client.ask("await its end") == 0
    await client.ask("start")
    await goes_on(client, queue, [(other, 1)])


@promise("kill -9 ends a Consume with UNAVAILABLE; after the restart nothing acknowledged is lost and the same client goes on")
async def killed(client):
    queue = await client.new_queue()
    done = await client.enqueue(queue)
    held = await client.enqueue(queue)
    consumer = client.consume(queue)
    for message_id in (done, held):
        assert (await consumer.next()).id == message_id
    await client.ack(queue, done)
    assert await client.ask("kill") == "SIGKILL"
    try:
        await consumer.next()
        raise AssertionError("the stream went on")
    except grpc.RpcError as error:
        assert error.code() == UNAVAILABLE, Failure(error)
    await client.ask("start")
    # Its lease died with its stream: one attempt.
    await goes_on(client, queue, [(held, 1)])
