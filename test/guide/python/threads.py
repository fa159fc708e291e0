"""Threads and their state."""

from checks import ask, contents, equal, fails, script
from langgraph_sdk.errors import NotFoundError


async def main(client):
    threads = client.threads
    thread = await threads.create(metadata={"topic": "weather", "user": 7}, graph_id="agent")
    thread_id = thread["thread_id"]
    equal((thread["status"], thread["values"]), ("idle", None))
    equal(thread["metadata"], {"topic": "weather", "user": 7, "graph_id": "agent"})
    empty = await threads.get_state(thread_id)
    equal((empty["values"], empty["next"], empty["checkpoint"]), ({}, [], None))

    values = await client.runs.wait(thread_id, "agent", input=ask("Will it rain?"))
    got = await threads.get(thread_id)
    equal((got["status"], got["values"]), ("idle", values))
    state = await threads.get_state(thread_id)
    equal((state["values"], state["next"]), (values, []))

    updated = await threads.update(thread_id, metadata={"user": 8})
    equal(updated["metadata"]["user"], 8)
    equal(await threads.update(thread_id, metadata={"user": 9}, return_minimal=True), None)
    equal((await threads.get(thread_id))["metadata"]["topic"], "weather")

    # History: newest first; in pages.
    history = await threads.get_history(thread_id)
    equal(history[0]["checkpoint"], state["checkpoint"])
    equal(history[-1]["metadata"]["source"], "input")
    older = await threads.get_history(thread_id, limit=2, before=history[1]["checkpoint"])
    equal(older, history[2:4])
    equal(await threads.get_history(thread_id, metadata={"step": 1}), [one for one in history if one["metadata"]["step"] == 1])
    early = history[-3]
    equal((await threads.get_state(thread_id, checkpoint=early["checkpoint"]))["values"], early["values"])
    equal((await threads.get_state(thread_id, checkpoint_id=early["checkpoint"]["checkpoint_id"]))["next"], early["next"])

    # Editing, at the end and in the past.
    edit = {"messages": [{"role": "user", "content": "And tomorrow?"}]}
    edited = await threads.update_state(thread_id, edit, as_node="tools")
    after = await threads.get_state(thread_id)
    equal(after["checkpoint"]["checkpoint_id"], edited["checkpoint"]["checkpoint_id"])
    equal((contents(after["values"])[-1], after["next"]), ("And tomorrow?", ["model"]))
    equal((await threads.get(thread_id))["status"], "interrupted")
    fork = await threads.update_state(thread_id, {"steps": 2}, checkpoint=early["checkpoint"])
    forked = await threads.get_state(thread_id, checkpoint=fork["checkpoint"])
    equal((forked["values"]["steps"], forked["parent_checkpoint"]), (2, early["checkpoint"]))

    # Copying.
    copy = await threads.copy(thread_id)
    equal(copy["thread_id"] != thread_id, True)
    equal((await threads.get_state(copy["thread_id"]))["values"], forked["values"])
    equal(await client.runs.list(copy["thread_id"]), [])

    # Finding.
    for place in range(3):
        await threads.create(metadata={"shelf": "a", "place": place})
    shelf = {"shelf": "a"}
    found = await threads.search(metadata=shelf, sort_by="created_at", sort_order="asc")
    equal([one["metadata"]["place"] for one in found], [0, 1, 2])
    page = await threads.search(metadata=shelf, sort_by="created_at", sort_order="asc", limit=1, offset=1)
    equal([one["metadata"]["place"] for one in page], [1])
    equal(await threads.count(metadata=shelf), 3)
    equal(await threads.count(metadata=shelf, status="busy"), 0)
    equal([one["thread_id"] for one in await threads.search(ids=[thread_id])], [thread_id])
    equal(list((await threads.search(metadata=shelf, select=["thread_id"], limit=1))[0]), ["thread_id"])
    equal([one["thread_id"] for one in await threads.search(values={"steps": 2}, ids=[thread_id])], [thread_id])

    # Removing.
    pruned = await threads.prune([one["thread_id"] for one in found])
    equal((pruned["pruned_count"], await threads.count(metadata=shelf)), (3, 0))
    run = await client.runs.create(thread_id, "agent", input=ask(delay_ms=60))
    await threads.delete(thread_id)
    await fails(NotFoundError, threads.get(thread_id))
    await fails(NotFoundError, client.runs.get(thread_id, run["run_id"]))


script(main)
