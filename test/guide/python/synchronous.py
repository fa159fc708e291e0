"""The SDK's client without async."""

import time

from checks import ask, contents, equal, url
from langgraph_sdk import get_sync_client
from langgraph_sdk.errors import NotFoundError

with get_sync_client(url=url) as client:
    thread_id = client.threads.create()["thread_id"]
    equal(len(contents(client.runs.wait(thread_id, "agent", input=ask()))), 4)
    parts = list(client.runs.stream(thread_id, "agent", input=ask(), stream_mode=["updates", "messages-tuple"]))
    equal(parts[0].event, "metadata")
    equal({part.event for part in parts[1:]}, {"updates", "messages"})

    run = client.runs.create(thread_id, "agent", input=ask(delay_ms=60))
    client.runs.cancel(thread_id, run["run_id"], wait=True)
    equal(client.runs.get(thread_id, run["run_id"])["status"], "interrupted")
    run = client.runs.create(thread_id, "agent", input=ask(delay_ms=60))
    client.runs.cancel(thread_id, run["run_id"], action="rollback")
    try:
        client.runs.get(thread_id, run["run_id"])
        raise AssertionError("the run is still there")
    except NotFoundError:
        pass

    runs = [client.runs.create(thread_id, "agent", input=ask(delay_ms=60)) for _ in range(2)]
    while client.runs.get(thread_id, runs[0]["run_id"])["status"] == "pending":
        time.sleep(0.01)
    client.runs.cancel_many(thread_id=thread_id, run_ids=[run["run_id"] for run in runs])
    equal([run["status"] for run in client.runs.list(thread_id, limit=2)], ["interrupted"] * 2)
