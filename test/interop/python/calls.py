"""Makes calls with gRPC's C core, with its default limits, and prints what each comes to, one JSON a line."""

import json
import sys

import grpc

scheme, address = sys.argv[1].split("://")
run_service = "/reins.v1.RunService/"
thread_service = "/reins.v1.ThreadService/"


def channel_with(options):
    if scheme == "https":
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(), options=options)
    return grpc.insecure_channel(address, options=options)


def call(what, path, payload=b"", options=()):
    with channel_with(options) as channel:
        method = channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
        try:
            method(payload, timeout=30)
            code, details = "OK", ""
        except grpc.RpcError as error:
            code, details = error.code().name, error.details()
    print(json.dumps({"what": what, "code": code, "details": details}), flush=True)


foreign = [("grpc.default_authority", "evil.example:80")]
call("served", thread_service + "CreateThread")
call("unknown method", thread_service + "Foo")
call("unknown service", "/no.Service/Foo")
call("unknown service, called with much", "/no.Service/Foo", bytes(4_000_000))
call("foreign host", thread_service + "CreateThread", options=foreign)
call("too large", thread_service + "CreateThread", bytes(20_000_000))
call("no message", thread_service + "CreateThread", b"\xff\xff")
call("breaks a rule", run_service + "GetRun")
