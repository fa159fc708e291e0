"""A second message while the first is being answered."""

from checks import ask, contents, equal, fails, running, script
from langgraph_sdk.errors import ConflictError, NotFoundError


async def main(client):
    runs = client.runs

    async def busy_thread(delay_ms=20):
        thread_id = (await client.threads.create())["thread_id"]
        run = await runs.create(thread_id, "agent", input=ask("First?", delay_ms=delay_ms))
        await running(client, run)
        return thread_id, run["run_id"]

    def asked(values):
        return [message["content"] for message in values["messages"] if message["type"] == "human"]

    thread_id, first = await busy_thread()
    values = await runs.wait(thread_id, "agent", input=ask("Second?"), multitask_strategy="enqueue")
    equal((asked(values), len(contents(values))), (["First?", "Second?"], 8))
    equal((await runs.get(thread_id, first))["status"], "success")

    thread_id, first = await busy_thread()
    await fails(ConflictError, runs.create(thread_id, "agent", input=ask("Second?"), multitask_strategy="reject"))
    equal(asked(await runs.join(thread_id, first)), ["First?"])
    equal(len(await runs.list(thread_id)), 1)

    thread_id, first = await busy_thread(delay_ms=60)
    values = await runs.wait(thread_id, "agent", input=ask("Second?"), multitask_strategy="interrupt")
    equal(asked(values), ["First?", "Second?"])
    ended = await runs.get(thread_id, first)
    equal((ended["status"], ended["cancellation"]["action"]), ("interrupted", "interrupt"))

    thread_id, first = await busy_thread(delay_ms=60)
    values = await runs.wait(thread_id, "agent", input=ask("Second?"), multitask_strategy="rollback")
    equal((asked(values), len(contents(values))), (["Second?"], 4))
    await fails(NotFoundError, runs.get(thread_id, first))
    equal(len(await runs.list(thread_id)), 1)


script(main)
