"""Runs from Python with grpcio: create one, watch it, and stop it for real.

    npm start                                  in one terminal
    python main.py [http://127.0.0.1:2024]     in another, in this folder, once the stubs are in gen/ (see ../README.md)
"""

import json
import sys
from pathlib import Path

import grpc

# The stubs import each other from the folder that they are in.
sys.path.insert(0, str(Path(__file__).parent / "gen"))
from reins.v1 import payload_pb2, run_pb2, run_service_pb2, run_service_pb2_grpc  # noqa: E402
from reins.v1 import thread_service_pb2, thread_service_pb2_grpc  # noqa: E402

address = sys.argv[1].removeprefix("http://") if len(sys.argv) > 1 else "127.0.0.1:2024"
channel = grpc.insecure_channel(address)
runs = run_service_pb2_grpc.RunServiceStub(channel)
threads = thread_service_pb2_grpc.ThreadServiceStub(channel)

thread_id = threads.CreateThread(thread_service_pb2.CreateThreadRequest()).thread.thread_id

print("== Create a run")
question = {"messages": [{"role": "user", "content": "Is the early bird right?"}], "delay_ms": 40}
run = runs.CreateRun(
    run_service_pb2.CreateRunRequest(
        thread_id=thread_id,
        spec=run_pb2.RunSpec(
            assistant_id="agent",
            input=payload_pb2.Payload(json=json.dumps(question).encode()),
            stream_modes=[run_pb2.STREAM_MODE_UPDATES],
        ),
    )
).run
names = {"thread_id": thread_id, "run_id": run.run_id}
print(f"run {run.run_id} is {run_pb2.RunStatus.Name(run.status)}")

print("== Watch it, and stop it after its first step")
stream = runs.JoinRunStream(
    run_service_pb2.JoinRunStreamRequest(payload_format=payload_pb2.PAYLOAD_FORMAT_JSON, **names)
)
asked = False
for answer in stream:
    for event in answer.events:
        if event.HasField("output"):
            print(event.sequence, event.output.name, event.output.data.json[:60].decode(errors="replace"))
            if not asked:
                asked = True
                # With `wait` the answer comes when no node function of the run executes any more.
                request = run_service_pb2.CancelRunRequest(reason="seen enough", wait=True, **names)
                cancelled = runs.CancelRun(request)
                outcome = run_pb2.CancelOutcome.Name(cancelled.outcome)
                print(f"the cancel answers {outcome}, the run is {run_pb2.RunStatus.Name(cancelled.run.status)}")
        elif event.HasField("ended"):
            print(f"the stream ends with {run_pb2.RunStatus.Name(event.ended.status)}")

print("== Cancel it with another action: it has ended")
try:
    runs.CancelRun(run_service_pb2.CancelRunRequest(action=run_pb2.CANCEL_ACTION_ROLLBACK, **names))
except grpc.RpcError as error:
    print(error.code().name)
else:
    sys.exit("the cancel should have been refused")
channel.close()
