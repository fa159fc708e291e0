"""Streams: each kind of part, how they end, and coming back to them."""

from checks import ask, contents, equal, fails, running, script
from langgraph_sdk.errors import NotFoundError, UnprocessableEntityError


def names(parts):
    return [part.event for part in parts]


async def main(client):
    thread = await client.threads.create()
    thread_id = thread["thread_id"]

    # values, the default.
    created = []
    stream = client.runs.stream(thread_id, "agent", input=ask(), on_run_created=created.append)
    parts = [part async for part in stream]
    equal(names(parts)[0], "metadata")
    equal(parts[0].data, {"run_id": created[0]["run_id"], "attempt": 1})
    equal(created[0]["thread_id"], thread_id)
    # The input, then the model, the tool and the model.
    equal(names(parts)[1:], ["values"] * 4)
    equal(contents(parts[1].data), ["Is it so?"])
    equal(len(contents(parts[-1].data)), 4)

    # Modes together, with what subgraphs say.
    modes = ["updates", "messages-tuple", "custom", "values", "tasks", "checkpoints", "debug"]
    input = {"messages": [{"role": "user", "content": "Go"}], "delay_ms": 5}
    stream = client.runs.stream(thread_id, "team", input=input, stream_mode=modes, stream_subgraphs=True)
    team = [part async for part in stream]
    kinds = {name.split("|")[0] for name in names(team)}
    equal(kinds, {"metadata", "updates", "messages", "custom", "values", "tasks", "checkpoints", "debug"})
    custom = [part.data for part in team if part.event.startswith("custom|researcher:")]
    equal(custom, [{"colleague": "The researcher", "page": page} for page in range(1, 6)])
    updates = [part.data for part in team if part.event == "updates"]
    equal(list(updates[-1]), ["editor"])
    message, about = next(part.data for part in team if part.event == "messages")
    equal((message["type"], about["langgraph_node"]), ("ai", "editor"))
    said = "".join(part.data[0]["content"] for part in team if part.event == "messages")
    equal(said, contents((await client.threads.get_state(thread_id))["values"])[-1])

    # messages, as the older programs know it.
    stream = client.runs.stream(thread_id, "agent", input=ask("Again?"), stream_mode="messages")
    older = [part async for part in stream]
    equal({"metadata", "messages/metadata", "messages/partial"} <= set(names(older)), True)

    # Ids have an order; coming back after any of them brings exactly the rest.
    ids = [int(part.id) for part in team]
    equal(ids, sorted(ids))
    run_id = team[0].data["run_id"]
    for place in [0, 1, len(team) // 2, len(team) - 2]:
        after = team[place].id
        again = [part async for part in client.runs.join_stream(thread_id, run_id, last_event_id=after)]
        equal(again, team[place + 1 :])
    everything = [part async for part in client.runs.join_stream(thread_id, run_id, last_event_id="-1")]
    equal(everything, team)
    only = client.runs.join_stream(thread_id, run_id, last_event_id="-1", stream_mode=["custom", "updates"])
    filtered = [part async for part in only]
    equal([part for part in filtered if part.event.split("|")[0] not in ("metadata", "custom", "updates")], [])
    equal(filtered[1:], [part for part in team if part.event.split("|")[0] in ("custom", "updates")])

    async def collected(stream):
        return [part async for part in stream]

    for id in ("zzz", "99999"):
        await fails(UnprocessableEntityError, collected(client.runs.join_stream(thread_id, run_id, last_event_id=id)))
    nowhere = client.runs.join_stream(thread_id, thread_id)
    await fails(NotFoundError, collected(nowhere))

    # A run that fails ends with the error.
    parts = [part async for part in client.runs.stream(thread_id, "stubborn", input={"mode": "nonsense"})]
    equal(names(parts)[-1], "error")
    equal(parts[-1].data["error"], "Error")

    # A run that is cancelled: the end says by which action and why.
    run = await client.runs.create(thread_id, "agent", input=ask(delay_ms=60))
    await running(client, run)
    joined = client.runs.join_stream(thread_id, run["run_id"], last_event_id="0")
    parts = []
    async for part in joined:
        parts.append(part)
        if part.event == "values":
            await client.runs.cancel(thread_id, run["run_id"])
    end = parts[-1].data
    equal((parts[-1].event, end["status"], end["cancellation"]["action"]), ("end", "interrupted", "interrupt"))

    # An interrupt() of the graph is no cancel.
    asking = (await client.threads.create())["thread_id"]
    parts = [part async for part in client.runs.stream(asking, "approval", input=ask())]
    question = parts[-1].data["__interrupt__"][0]["value"]["question"]
    equal((parts[-1].event, question), ("values", "May this be sent?"))
    resume = client.runs.stream(asking, "approval", command={"resume": "approve"}, stream_mode="updates")
    parts = [part async for part in resume]
    equal(list(parts[-1].data), ["send"])

    # The SDK's second form of the parts.
    parts = [part async for part in client.runs.stream(None, "agent", input=ask(), version="v2")]
    equal({part["type"] for part in parts} >= {"metadata", "values"}, True)


script(main)
