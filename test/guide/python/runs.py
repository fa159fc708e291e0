"""Runs: lists, removing, and runs without a thread."""

import asyncio
import uuid

from checks import ask, contents, equal, fails, running, script
from langgraph_sdk.errors import NotFoundError


async def gone(threads, thread_id):
    try:
        while await threads.get(thread_id):
            await asyncio.sleep(0.01)
    except NotFoundError:
        pass


async def main(client):
    runs = client.runs
    thread_id = (await client.threads.create())["thread_id"]
    first = await runs.create(thread_id, "agent", input=ask("One?"), metadata={"part": 1})
    equal((first["status"] in ("pending", "running"), first["metadata"]["part"]), (True, 1))
    equal(first["kwargs"]["input"]["messages"][0]["content"], "One?")
    equal(len(contents(await runs.join(thread_id, first["run_id"]))), 4)
    second = await runs.create(thread_id, "agent", input=ask("Two?", delay_ms=60))
    await running(client, second)
    third = await runs.create(thread_id, "agent", input=ask("Three?"), after_seconds=3600)

    def ids(found):
        return [run["run_id"] for run in found]

    equal(ids(await runs.list(thread_id)), [third["run_id"], second["run_id"], first["run_id"]])
    equal(ids(await runs.list(thread_id, limit=1, offset=1)), [second["run_id"]])
    equal(ids(await runs.list(thread_id, status="success")), [first["run_id"]])
    equal(ids(await runs.list(thread_id, status="pending")), [third["run_id"]])
    equal(await runs.list(thread_id, status="success", select=["run_id", "status"]), [{"run_id": first["run_id"], "status": "success"}])

    # A live run is stopped before it is removed.
    for run in (third, second, first):
        await runs.delete(thread_id, run["run_id"])
        await fails(NotFoundError, runs.get(thread_id, run["run_id"]))
    equal((await client.threads.get(thread_id))["status"], "idle")

    # Without a thread.
    equal(contents(await runs.wait(None, "agent", input=ask("Alone?")))[0], "Alone?")
    parts = [part async for part in runs.stream(None, "agent", input=ask("Streamed?"), stream_mode="values")]
    equal((parts[-1].event, contents(parts[-1].data)[0]), ("values", "Streamed?"))
    created = []
    await runs.wait(None, "agent", input=ask(), on_run_created=created.append)
    # Its thread goes with it, once whoever waits has the answer.
    await gone(client.threads, created[0]["thread_id"])
    kept = await runs.create(None, "agent", input=ask("Kept?"), on_completion="keep")
    equal(contents(await runs.join(kept["thread_id"], kept["run_id"]))[0], "Kept?")
    equal((await runs.get(kept["thread_id"], kept["run_id"]))["status"], "success")
    batch = await runs.create_batch(
        [{"assistant_id": "agent", "input": ask(str(place)), "on_completion": "keep"} for place in range(3)]
    )
    ends = [await runs.join(run["thread_id"], run["run_id"]) for run in batch]
    equal([contents(end)[0] for end in ends], ["0", "1", "2"])

    # A thread that is made with its run.
    fresh = str(uuid.uuid4())
    await fails(NotFoundError, runs.create(fresh, "agent", input=ask()))
    await runs.wait(fresh, "agent", input=ask("New?"), if_not_exists="create")
    equal((await client.threads.get(fresh))["status"], "idle")


script(main)
