"""What the scripts beside this one share: each gets the server's address, and fails with the first claim that does not hold."""

import asyncio
import sys

from langgraph_sdk import get_client

url = sys.argv[1]


def equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"{actual!r} is not {expected!r}")


async def fails(kind, call):
    """Awaits the call, which must raise exactly this kind of error, and returns the error."""
    try:
        answer = await call
    except Exception as error:
        if type(error) is not kind:
            raise
        return error
    raise AssertionError(f"{answer!r} instead of {kind.__name__}")


def ask(text="Is it so?", steps=1, delay_ms=5):
    """Input for the example agent."""
    return {"messages": [{"role": "user", "content": text}], "steps": steps, "delay_ms": delay_ms}


def contents(values):
    return [message["content"] for message in values["messages"]]


async def running(client, run):
    while (await client.runs.get(run["thread_id"], run["run_id"]))["status"] == "pending":
        await asyncio.sleep(0.01)


def script(main):
    """Runs a script's `main` with a client."""

    async def with_client():
        async with get_client(url=url) as client:
            await main(client)

    asyncio.run(with_client())
