"""Going on, back and aside after a cancel."""

from checks import ask, contents, equal, running, script


async def main(client):
    undisturbed = await client.runs.wait(None, "agent", input=ask("How far?", steps=3))

    thread_id = (await client.threads.create())["thread_id"]
    run = await client.runs.create(thread_id, "agent", input=ask("How far?", steps=3, delay_ms=20))
    await running(client, run)
    # Stopped as soon as the model has spoken and the first tool has answered.
    async for part in client.runs.join_stream(thread_id, run["run_id"], last_event_id="-1"):
        if part.event == "values" and len(contents(part.data)) == 3:
            await client.runs.cancel(thread_id, run["run_id"], wait=True)
    stopped = await client.threads.get_state(thread_id)
    equal((contents(stopped["values"])[0], stopped["next"] != []), ("How far?", True))
    equal(stopped["values"]["steps"], 3)
    thread = await client.threads.get(thread_id)
    equal((thread["status"], thread["values"]), ("interrupted", stopped["values"]))
    history = await client.threads.get_history(thread_id)
    equal(history[0]["checkpoint"], stopped["checkpoint"])

    # Input null goes on where it was stopped: nothing is lost, nothing is done twice.
    resumed = await client.runs.wait(thread_id, "agent", input=None)
    equal(contents(resumed), contents(undisturbed))
    kept = contents(stopped["values"])
    equal(contents(resumed)[: len(kept)], kept)
    equal((await client.runs.get(thread_id, run["run_id"]))["status"], "interrupted")
    equal((await client.threads.get(thread_id))["status"], "idle")

    # From a checkpoint in the past, by its id or as a whole.
    early = next(state for state in history if len(contents(state["values"])) == 2)
    for where in ({"checkpoint_id": early["checkpoint"]["checkpoint_id"]}, {"checkpoint": early["checkpoint"]}):
        replayed = await client.runs.wait(thread_id, "agent", input=None, **where)
        equal(contents(replayed), contents(undisturbed))

    # And aside: the fork goes its own way, the past stays.
    fork = await client.threads.update_state(thread_id, {"steps": 1}, checkpoint=early["checkpoint"])
    forked = await client.runs.wait(thread_id, "agent", input=None, checkpoint=fork["checkpoint"])
    equal((len(contents(forked)), len(contents(undisturbed))), (4, 8))
    equal((await client.threads.get_state(thread_id, checkpoint=early["checkpoint"]))["values"], early["values"])


script(main)
