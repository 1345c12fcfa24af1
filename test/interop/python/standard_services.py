"""The services that gRPC's own tools expect of every server."""

import os
import sys

import grpc

# Their generated modules are called grpc.health... and grpc.reflection..., and grpcio itself is the package grpc.
grpc.__path__.append(os.path.join(os.environ["FILA_INTEROP_STUBS"], "grpc"))

from errors import failure_of  # noqa: E402
from fila.v1 import fixed_wire_pb2 as wire  # noqa: E402
from google.protobuf import descriptor_pb2  # noqa: E402
from grpc.health.v1 import health_pb2, health_pb2_grpc  # noqa: E402
from grpc.reflection.v1 import reflection_pb2, reflection_pb2_grpc  # noqa: E402
from grpc.reflection.v1alpha import reflection_pb2 as alpha_pb2  # noqa: E402
from grpc.reflection.v1alpha import reflection_pb2_grpc as alpha_pb2_grpc  # noqa: E402
from promises import promise  # noqa: E402

SERVING = health_pb2.HealthCheckResponse.SERVING
SERVICES = {"fila.v1.FilaService", "fila.v1.FilaAdmin"}


@promise("grpc.health.v1 Check: the broker and each of its services are SERVING, an unknown one is NOT_FOUND")
async def health_check(client):
    health = health_pb2_grpc.HealthStub(client.channel)
    for service in ["", *SERVICES]:
        answer = await client.call(health.Check, health_pb2.HealthCheckRequest(service=service))
        assert answer.status == SERVING, f"{service}: {answer}"
    failure = await failure_of(client.call(health.Check, health_pb2.HealthCheckRequest(service="nobody")))
    assert failure.code == grpc.StatusCode.NOT_FOUND, failure


@promise("grpc.health.v1 Watch: SERVING at once, NOT_SERVING while the broker waits for its workers, UNAVAILABLE at its end")
async def health_watch(client):
    queue = await client.new_queue()
    await client.enqueue(queue)
    consumer = client.consume(queue)
    held = await consumer.next()
    health = health_pb2_grpc.HealthStub(client.channel)
    watch = client.open(health.Watch, health_pb2.HealthCheckRequest(service=""))
    assert (await watch.read()).status == SERVING
    # The broker waits for this client to settle what it holds: meanwhile whoever watches learns that it is about to stop.
    await client.ask("begin to terminate")
    assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
    await client.ack(queue, held.id)
    assert (await failure_of(watch.read())).code == grpc.StatusCode.UNAVAILABLE
    assert await client.ask("await its end") == 0
    await client.ask("start")


async def reflected(client, method, pb2):
    """Asks server reflection which services there are, and for the file of one of them with all that it imports."""
    requests = [
        pb2.ServerReflectionRequest(list_services=""),
        pb2.ServerReflectionRequest(file_containing_symbol="fila.v1.FilaAdmin"),
        pb2.ServerReflectionRequest(file_containing_symbol="fila.v1.Nothing"),
    ]
    stream = client.open(method, iter(requests))
    listed, found, missing = [await stream.read() for _ in requests]
    names = {service.name for service in listed.list_services_response.service}
    assert SERVICES < names, names
    files = [descriptor_pb2.FileDescriptorProto.FromString(file) for file in found.file_descriptor_response.file_descriptor_proto]
    (admin,) = [service for file in files for service in file.service if service.name == "FilaAdmin"]
    own = [method.name for method in wire.DESCRIPTOR.services_by_name["FilaAdmin"].methods]
    assert set(own) <= {method.name for method in admin.method}, admin
    assert missing.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0], missing


@promise("server reflection v1 lists the services and describes them")
async def reflection(client):
    await reflected(client, reflection_pb2_grpc.ServerReflectionStub(client.channel).ServerReflectionInfo, reflection_pb2)


@promise("server reflection v1alpha, which older tools ask for, does the same")
async def reflection_alpha(client):
    await reflected(client, alpha_pb2_grpc.ServerReflectionStub(client.channel).ServerReflectionInfo, alpha_pb2)
